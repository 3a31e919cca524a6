"""Objects that no row names: left by processes that died between storing and naming.

The sweeper knows what to delete by rows; these have none, so the whole store is looked through.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from core.objects import ObjectHead, ObjectStore
from core.records import deletion, references
from core.records.engine import Database
from core.records.references import Unnamed

OLD_ENOUGH = 86400.0  # seconds since it was stored, in which a row may still come
_AT_ONCE = 500
_PLACES = ("files", "datasets", "uploads", "jobs")


@dataclass(frozen=True)
class Unreferenced:
    """An object that nothing names."""

    key: str
    size: int
    project_id: str | None  # whose rows could come to name it


def find(
    database: Database, store: ObjectStore, older_than: float = OLD_ENOUGH
) -> Iterator[Unreferenced]:
    """Objects that were stored longer ago than that and that no row names."""
    limit = time.time() - older_than
    for place in _PLACES:
        batch: list[ObjectHead] = []
        for item in store.list(place):
            if item.last_modified < limit:
                batch.append(item)
            if len(batch) == _AT_ONCE:
                yield from _unnamed(database, batch)
                batch = []
        yield from _unnamed(database, batch)


def remove(database: Database, store: ObjectStore, found: Unreferenced) -> bool:
    """Deletes it, unless a row has come to name it meanwhile; whether it was deleted."""
    if found.project_id is None:
        store.delete(found.key)
        return True
    with database.write() as session:
        doomed = deletion.doom_unnamed(session, found.project_id, [found.key])
    if not doomed:
        return False
    store.delete(found.key)
    with database.write() as session:
        deletion.lift(session, found.key)
    return True


def _unnamed(database: Database, batch: list[ObjectHead]) -> Iterator[Unreferenced]:
    sizes = {item.key: item.size for item in batch}
    with database.read() as session:
        found: list[Unnamed] = references.unnamed(session, list(sizes))
    for one in found:
        yield Unreferenced(one.key, sizes[one.key], one.project_id)
