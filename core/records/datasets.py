"""Dataset versions: an archive's content, immutable, checked image by image once per project."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first, insert_missing
from core.records.tables import DatasetVersion, File


def create(
    session: Session,
    project_id: str,
    version: str,
    *,
    archive_key: str,
    archive_size: int,
    archive_sha256: str,
    structure: dict[str, Any],
    index_key: str,
) -> DatasetVersion:
    """The version of that id; the first to create it wins, since equal ids are equal content. One
    that was purged is there again, unchecked."""
    insert_missing(
        session,
        DatasetVersion,
        {
            "project_id": project_id,
            "id": version,
            "archive_key": archive_key,
            "archive_size": archive_size,
            "archive_sha256": archive_sha256,
            "structure": structure,
            "index_key": index_key,
            "created_at": now(),
        },
        ["project_id", "id"],
    )
    purged = (
        DatasetVersion.project_id == project_id,
        DatasetVersion.id == version,
        DatasetVersion.purged_at.is_not(None),
    )
    session.execute(
        update(DatasetVersion).where(*purged).values(purged_at=None, created_at=now()),
        execution_options={"synchronize_session": False},
    )
    return get(session, project_id, version)


def get(session: Session, project_id: str, version: str) -> DatasetVersion:
    """The project's dataset version. NotFound for unknown and foreign ids alike."""
    row = first(
        session,
        select(DatasetVersion).where(
            DatasetVersion.project_id == project_id, DatasetVersion.id == version
        ),
        DatasetVersion,
    )
    if row is None:
        raise NotFound(f"There is no dataset version {version!r}.")
    return row


def get_listed(session: Session, project_id: str, version: str) -> DatasetVersion:
    """The same, of a version that a file of the project still holds."""
    row = first(
        session,
        select(DatasetVersion).where(
            DatasetVersion.project_id == project_id,
            DatasetVersion.id == version,
            _is_held(project_id),
        ),
        DatasetVersion,
    )
    if row is None:
        raise NotFound(
            f"There is no dataset {version!r}; list yours with GET /v1/datasets.",
            param="dataset_id",
        )
    return row


def list_datasets(
    session: Session,
    project_id: str,
    *,
    filename: str | None = None,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[DatasetVersion]:
    """One page of the versions that files of the project hold; of those called `filename`."""
    owned = DatasetVersion.project_id == project_id
    held = _is_held(project_id, filename)
    return paginate(session, DatasetVersion, owned, [held], after=after, order=order, limit=limit)


def files_of(session: Session, project_id: str, versions: Iterable[str]) -> dict[str, list[File]]:
    """The files that hold each version, newest first."""
    found: dict[str, list[File]] = {version: [] for version in versions}
    statement = select(File).where(
        File.project_id == project_id,
        File.dataset_version.in_(found),
        File.deleted_at.is_(None),
    )
    # Asked for in order, SQLite would rather walk along all of the project's files.
    by_age = attrgetter("created_at", "id")
    for row in sorted(every(session, statement, File), key=by_age, reverse=True):
        found[str(row.dataset_version)].append(row)
    return found


def unchecked(session: Session, project_id: str, versions: Iterable[str]) -> list[str]:
    """Which of these versions nobody has read image by image yet."""
    statement = (
        select(DatasetVersion.id)
        .where(
            DatasetVersion.project_id == project_id,
            DatasetVersion.id.in_(list(versions)),
            DatasetVersion.checked_at.is_(None),
        )
        .order_by(DatasetVersion.id)
    )
    return list(session.execute(statement).scalars())


def mark_checked(
    session: Session, project_id: str, version: str, index_key: str, summary: dict[str, Any]
) -> None:
    """The version's index is stored. The first check stands; a second changes nothing."""
    session.execute(
        update(DatasetVersion)
        .where(
            DatasetVersion.project_id == project_id,
            DatasetVersion.id == version,
            DatasetVersion.checked_at.is_(None),
        )
        .values(index_key=index_key, summary=summary, checked_at=now())
    )


def _is_held(project_id: str, filename: str | None = None) -> ColumnElement[bool]:
    conditions = [
        File.project_id == project_id,
        File.dataset_version == DatasetVersion.id,
        File.deleted_at.is_(None),
    ]
    if filename is not None:
        conditions.append(File.filename == filename)
    return exists().where(*conditions)
