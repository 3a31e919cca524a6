"""Which keys of the object store any row still answers for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.records import garbage
from core.records.tables import DatasetVersion, File, Job, Model, Project, Upload


@dataclass(frozen=True)
class Unnamed:
    """A key that no row names. Without a project, nothing can come to name it either."""

    key: str
    project_id: str | None


def unnamed(session: Session, keys: Sequence[str]) -> list[Unnamed]:
    """Those of the keys that no row names. What another duty of the sweeper will delete (parts of
    uploads, what attempts left, what was deleted) counts as named; keys of bases and of nothing
    this service makes are passed over."""
    found: list[Unnamed] = []
    for kind, look in _KINDS.items():
        mine = [key for key in keys if key.split("/", 1)[0] == kind and key.count("/") >= 2]
        if mine:
            found += look(session, mine)
    return found


def _files(session: Session, keys: list[str]) -> Iterable[Unnamed]:
    files = select(File.object_key).where(File.object_key.in_(keys), File.purged_at.is_(None))
    named = set(session.execute(files).scalars())
    archives = select(DatasetVersion.archive_key).where(
        DatasetVersion.project_id.in_({key.split("/")[1] for key in keys}),
        DatasetVersion.archive_key.in_(keys),
        DatasetVersion.purged_at.is_(None),
    )
    named |= set(session.execute(archives).scalars())
    return _of_projects(session, [key for key in keys if key not in named])


def _datasets(session: Session, keys: list[str]) -> Iterable[Unnamed]:
    rows = select(DatasetVersion.project_id, DatasetVersion.id).where(
        DatasetVersion.id.in_({key.split("/")[2] for key in keys}),
        DatasetVersion.purged_at.is_(None),
    )
    named = {(row.project_id, row.id) for row in session.execute(rows)}
    places = {key: (key.split("/")[1], key.split("/")[2]) for key in keys}
    return _of_projects(session, [key for key, place in places.items() if place not in named])


def _of_projects(session: Session, keys: list[str]) -> list[Unnamed]:
    owners = {key: key.split("/")[1] for key in keys}
    rows = select(Project.id).where(Project.id.in_(set(owners.values())))
    there = set(session.execute(rows).scalars())
    return [Unnamed(key, owner if owner in there else None) for key, owner in owners.items()]


def _uploads(session: Session, keys: list[str]) -> Iterable[Unnamed]:
    ids = {key.split("/")[1] for key in keys}
    rows = select(Upload.id).where(Upload.id.in_(ids), Upload.purged_at.is_(None))
    named = set(session.execute(rows).scalars())
    return [Unnamed(key, None) for key in keys if key.split("/")[1] not in named]


def _jobs(session: Session, keys: list[str]) -> Iterable[Unnamed]:
    ids = {key.split("/")[1] for key in keys}
    rows = select(Job.id, Job.purged_at).where(Job.id.in_(ids))
    purged = {row.id: row.purged_at is not None for row in session.execute(rows)}
    named: set[str] = set()
    for job_id in (name for name, is_purged in purged.items() if is_purged):
        named |= garbage.named_keys(session, job_id)
    gone = select(Model.object_key).where(Model.object_key.in_(keys), Model.purged_at.is_not(None))
    named -= set(session.execute(gone).scalars())
    found = []
    for key in keys:
        job_id = key.split("/")[1]
        is_swept = purged.get(job_id, True)  # a job that never was has nothing to wait for
        if is_swept and key not in named:
            found.append(Unnamed(key, None))
    return found


_KINDS: dict[str, Callable[[Session, list[str]], Iterable[Unnamed]]] = {
    "files": _files,
    "datasets": _datasets,
    "uploads": _uploads,
    "jobs": _jobs,
}
