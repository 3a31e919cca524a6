"""A directory with everything the service knows, and the service again from such a directory.

    backup.json     revision of the tables, when, how many rows and objects
    rows/TABLE.jsonl
    objects/KEY     as the store has them; those of an earlier backup in this directory are kept
    key_secret      what API keys are hashed with, where it is a file

Rows are of one moment; objects are copied after it. An object that a row names is never changed, so
what matters is only that it is there: it is looked for, and what is missing is said.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.access.key_hash import write_private
from core.errors import InvalidRequest, NotFound
from core.objects import ObjectStore
from core.records.dump import Row, dump, load
from core.records.engine import Database
from core.settings import Settings

MANIFEST = "backup.json"
_FORMAT = 1
_PARTS_OF_UPLOADS = "uploads/"  # under way: whoever sends them can send them again
_PLACES = ("bases", "files", "datasets", "jobs", "uploads")


@dataclass
class Summary:
    """What was written or read."""

    revision: str
    created_at: float  # epoch seconds
    rows: dict[str, int] = field(default_factory=dict)  # by table
    objects: int = 0
    bytes: int = 0
    copied: int = 0  # objects that were not there already
    missing: list[str] = field(default_factory=list)  # keys that rows name and nobody has
    format: int = _FORMAT


def back_up(database: Database, store: ObjectStore, settings: Settings, to: Path) -> Summary:
    """Writes or renews a backup while the service runs. Raises Unavailable and StorageFault; then
    `backup.json` is that of the backup before, or missing."""
    to.mkdir(parents=True, exist_ok=True)
    to.chmod(0o700)  # it holds everybody's images and the hashes of their keys
    (to / MANIFEST).unlink(missing_ok=True)
    rows = to / "rows"
    shutil.rmtree(rows, ignore_errors=True)
    rows.mkdir()
    named: set[str] = set()
    with dump(database) as found:
        summary = Summary(found.revision, time.time())
        for number, table in enumerate(found.tables):
            path = rows / f"{number:02d}-{table.name}.jsonl"
            summary.rows[table.name] = _write_rows(path, found.rows(table), named)
    _copy_objects(store, to / "objects", summary)
    summary.missing = sorted(key for key in named if not (to / "objects" / key).is_file())
    if settings.key_secret is None and settings.key_secret_path.is_file():
        secret = settings.key_secret_path.read_text(encoding="utf-8").strip()
        write_private(to / "key_secret", secret, replace=True)
    (to / MANIFEST).write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")
    return summary


def restore(settings: Settings, source: Path, say: Callable[[str], None] = print) -> Summary:
    """Fills an empty database and the object store. Raises InvalidRequest for what is no whole
    backup, Conflict for a database that is not empty, and StorageFault when an object is not what
    its row says."""
    summary = _read_manifest(source)
    digests: dict[str, str] = {}
    load(settings.resolved_database_url, summary.revision, _tables_in(source, digests))
    say(f"{sum(summary.rows.values())} rows of {len(summary.rows)} tables")
    store = ObjectStore.from_settings(settings)
    objects = source / "objects"
    count = 0
    for path in sorted(path for path in objects.rglob("*") if path.is_file()):
        key = path.relative_to(objects).as_posix()
        stored = store.put_file(key, path)
        if digests.get(key, stored.sha256) != stored.sha256:
            raise InvalidRequest(
                f"{path} has the sha256 {stored.sha256}, its row says {digests[key]}: the backup "
                "is damaged. Restore another one into a new database.",
                code="damaged_backup",
            )
        count += 1
    say(f"{count} objects")
    if (source / "key_secret").is_file() and settings.key_secret is None:
        secret = (source / "key_secret").read_text(encoding="utf-8").strip()
        write_private(settings.key_secret_path, secret, replace=True)
    return summary


def _write_rows(path: Path, rows: Iterator[Row], named: set[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            named.update(_keys_of(row))
            count += 1
    return count


def _keys_of(row: Row) -> Iterator[str]:
    """Objects that the row needs: not those of deleted files, nor of uploads under way."""
    if row.get("purged_at") is not None or row.get("deleted_at") is not None:
        return
    if "sha256" in row and "object_key" in row:
        key = str(row["object_key"])
        if not key.startswith(_PARTS_OF_UPLOADS):
            yield key
    if "archive_key" in row:
        yield str(row["archive_key"])


def _copy_objects(store: ObjectStore, to: Path, summary: Summary) -> None:
    for place in _PLACES:
        for item in store.list(place):
            target = to / item.key
            if not target.is_file() or target.stat().st_size != item.size:
                try:
                    store.download(item.key, target)
                except NotFound:
                    continue  # deleted since it was listed; what a row names is looked for later
                summary.copied += 1
            summary.objects += 1
            summary.bytes += item.size


def _read_manifest(source: Path) -> Summary:
    path = source / MANIFEST
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"{path} cannot be read: {source} is no backup, or one that did not finish.",
            code="no_backup",
        ) from error
    if content.get("format") != _FORMAT:
        raise InvalidRequest(
            f"{path} is of format {content.get('format')}; this version reads {_FORMAT}.",
            code="no_backup",
        )
    return Summary(**content)


def _tables_in(source: Path, digests: dict[str, str]) -> Iterator[tuple[str, Iterator[Row]]]:
    for path in sorted((source / "rows").glob("*.jsonl")):
        yield path.stem.split("-", 1)[1], _rows_in(path, digests)


def _rows_in(path: Path, digests: dict[str, str]) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row: Row = json.loads(line)
            if row.get("sha256") and row.get("object_key"):
                digests[row["object_key"]] = row["sha256"]
            if row.get("archive_key"):
                digests[row["archive_key"]] = row["archive_sha256"]
            yield row
