"""From a deleted row to a deleted object, so that no row ever names what is gone.

Deleting a file or a model marks its row. Later, when nothing names the object any more and no job
needs it, its key is *doomed*, in a transaction that holds the project's row alone. Then the object
is deleted, and the doom is lifted, which is remembered for a while.

Whoever stores an object notes the time before looking whether it is there already, writes the row
that names it, by whose foreign key it has a share of the lock on the project, and then asks for a
doom that was not lifted before that time (`require_not_doomed`). So either the sweeper sees the
row, or its writer sees the doom and gives up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, union, update
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.records.clock import now
from core.records.rows import every, upsert
from core.records.tables import DatasetVersion, DoomedObject, File, Job, Model, Project

RETRY_SECONDS = 7 * 86400.0  # after a job failed, in which a retry needs what it was made from
FORGOTTEN_AFTER = 86400.0  # seconds after a doom was lifted
_AT_ONCE = 500
_KEYS = ("object_key", "archive_key", "index_key")  # where a specification names objects


def require_not_doomed(session: Session, keys: Sequence[str], since: float) -> None:
    """For whoever has just written a row that names the keys, and began to look at the store at
    `since`, epoch seconds. Raises Unavailable when one of them was being deleted then, or is."""
    found = select(DoomedObject.object_key).where(
        DoomedObject.object_key.in_(keys),
        or_(DoomedObject.lifted_at.is_(None), DoomedObject.lifted_at >= since),
    )
    if session.execute(found.limit(1)).first() is not None:
        raise Unavailable(
            "Equal content was deleted before and is just being removed; send it again.",
            code="object_being_deleted",
        )


def projects_to_sweep(session: Session, quiet_seconds: float) -> list[str]:
    """Projects with deleted files or models whose objects may go."""
    files = select(File.project_id).where(*_deleted(File, quiet_seconds))
    models = select(Model.project_id).where(*_deleted(Model, quiet_seconds))
    return [name for name in session.execute(union(files, models)).scalars() if name is not None]


def doom(session: Session, project_id: str, quiet_seconds: float) -> int:
    """Dooms the objects of some of the project's files and models that were deleted at least that
    long ago, those of data sets that no file holds any more among them; how many rows are done
    with. What a job that has not ended needs, or one that may be tried again, stays."""
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update())
    needed = keys_needed(session, project_id)
    return sum(
        _doom_rows(session, kind, project_id, quiet_seconds, needed) for kind in (File, Model)
    )


def doom_unnamed(session: Session, project_id: str, keys: list[str]) -> list[str]:
    """Those of the keys that no row of the project names, doomed."""
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update())
    needed = keys_needed(session, project_id)
    found = [key for key in keys if key not in needed and not _is_named(session, project_id, key)]
    for key in found:
        _insert(session, project_id, key)
    return found


def doomed(session: Session) -> list[str]:
    """Some of the keys whose objects are to be deleted: an object, or all under that prefix."""
    rows = select(DoomedObject.object_key).where(DoomedObject.lifted_at.is_(None))
    return list(session.execute(rows.order_by(DoomedObject.doomed_at).limit(_AT_ONCE)).scalars())


def lift(session: Session, key: str) -> None:
    """The object is gone."""
    session.execute(
        update(DoomedObject).where(DoomedObject.object_key == key).values(lifted_at=now()),
        execution_options={"synchronize_session": False},
    )


def forget(session: Session) -> None:
    """Dooms that were lifted before anybody began who is still storing something."""
    session.execute(
        delete(DoomedObject).where(DoomedObject.lifted_at < now() - FORGOTTEN_AFTER),
        execution_options={"synchronize_session": False},
    )


def keys_needed(session: Session, project_id: str) -> set[str]:
    """Keys in the specifications of jobs that have not ended, or failed and may be tried again."""
    open_jobs = select(Job.spec).where(Job.project_id == project_id, Job.finished_at.is_(None))
    failed = select(Job.spec).where(
        Job.project_id == project_id,
        Job.status == "failed",
        Job.finished_at > now() - RETRY_SECONDS,
    )
    found: set[str] = set()
    for statement in (open_jobs, failed):
        for spec in session.execute(statement).scalars():
            found.update(_keys_in(spec))
    return found


def _doom_rows(
    session: Session,
    kind: type[File] | type[Model],
    project_id: str,
    quiet_seconds: float,
    needed: set[str],
) -> int:
    mine = (kind.project_id == project_id, *_deleted(kind, quiet_seconds))
    statement = select(kind).where(*mine, kind.object_key.not_in(needed))
    rows = every(session, statement.order_by(kind.deleted_at).limit(_AT_ONCE), kind)
    for row in rows:
        _mark_purged(session, kind, row.id)
        if isinstance(row, File) and row.dataset_version is not None:
            _doom_dataset(session, project_id, row.dataset_version)
        if not _is_named(session, project_id, row.object_key):
            _insert(session, project_id, row.object_key)
    return len(rows)


def _doom_dataset(session: Session, project_id: str, version: str) -> None:
    """What was made of the archive, once no file holds it."""
    is_held = exists().where(
        File.project_id == project_id, File.dataset_version == version, File.deleted_at.is_(None)
    )
    mine = (DatasetVersion.project_id == project_id, DatasetVersion.id == version)
    gone = session.execute(
        update(DatasetVersion)
        .where(*mine, DatasetVersion.purged_at.is_(None), ~is_held)
        .values(purged_at=now(), checked_at=None, summary=None)
        .returning(DatasetVersion.id),
        execution_options={"synchronize_session": False},
    ).first()
    if gone is not None:
        _insert(session, project_id, f"datasets/{project_id}/{version}")


def _deleted(kind: type[File] | type[Model], quiet_seconds: float) -> list[ColumnElement[bool]]:
    return [
        kind.deleted_at.is_not(None),
        kind.purged_at.is_(None),
        kind.deleted_at < now() - quiet_seconds,
    ]


def _mark_purged(session: Session, kind: type[File] | type[Model], row_id: str) -> None:
    session.execute(
        update(kind).where(kind.id == row_id).values(purged_at=now()),
        execution_options={"synchronize_session": False},
    )


def _is_named(session: Session, project_id: str, key: str) -> bool:
    """Whether a row names it that was not deleted, or is still to be swept. The key is a file's,
    a model's or an archive's, or lies under a data set's prefix."""
    files = select(File.id).where(
        File.project_id == project_id, File.object_key == key, File.purged_at.is_(None)
    )
    models = select(Model.id).where(
        Model.project_id == project_id, Model.object_key == key, Model.purged_at.is_(None)
    )
    version = key.split("/")[2] if key.startswith("datasets/") and key.count("/") >= 2 else ""
    versions = select(DatasetVersion.id).where(
        DatasetVersion.project_id == project_id,
        DatasetVersion.purged_at.is_(None),
        or_(DatasetVersion.archive_key == key, DatasetVersion.id == version),
    )
    return any(
        session.execute(rows.limit(1)).first() is not None for rows in (files, models, versions)
    )


def _insert(session: Session, project_id: str, key: str) -> None:
    values = {"object_key": key, "project_id": project_id, "doomed_at": now()}
    upsert(
        session,
        DoomedObject,
        {**values, "lifted_at": None},
        key=["object_key"],
        replace=["doomed_at", "lifted_at"],
    )


def _keys_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in _KEYS and isinstance(part, str):
                yield part
            else:
                yield from _keys_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys_in(part)
