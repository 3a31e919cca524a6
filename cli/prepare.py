"""What must be there before the service can start: tables, a project, a key, a first base."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.bases import register_directory
from core.objects import ObjectStore
from core.records import keys, models
from core.records.engine import Database, migrate
from core.settings import Settings

DEFAULT_PROJECT = "default"
DEMO_BASE = "demo"


@dataclass(frozen=True)
class Prepared:
    """Whether this was the first start, and where its key lies."""

    api_key_path: Path
    made_key: bool


def prepare(settings: Settings) -> Prepared:
    """Bring the database up to date; on a first start make a key and register the demo base.

    Safe to run again and by several processes at once: what is there stays.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    try:
        made_key = _make_first_key(settings, database)
        _register_demo_base(settings, database)
    finally:
        database.close()
    return Prepared(settings.api_key_path, made_key)


def _make_first_key(settings: Settings, database: Database) -> bool:
    with database.write() as session:
        project = keys.create_project(session, DEFAULT_PROJECT)
        if keys.count(session) > 0:
            return False
        _, secret = keys.create(session, project.id, "first start")
    # The key is shown once: whoever owns the data directory is the operator.
    settings.api_key_path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(settings.api_key_path, flags, 0o600), "w") as out:
        out.write(secret + "\n")
    return True


def _register_demo_base(settings: Settings, database: Database) -> None:
    import core.demo

    directory = Path(core.demo.__file__).parent / "base"
    with database.read() as session:
        project = "-"  # bases are visible from everywhere
        known = {m.id for m in models.list_models(session, project, kind="base").items}
    if f"base:{DEMO_BASE}" not in known:
        register_directory(database, ObjectStore.from_settings(settings), DEMO_BASE, directory)
