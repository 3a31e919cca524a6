"""Dataset versions: an archive's content, immutable, checked image by image once per project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.clock import now
from core.records.rows import every, first, insert_missing
from core.records.tables import DatasetVersion


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
    """The version of that id; the first to create it wins, since equal ids are equal content."""
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


def unchecked(session: Session, project_id: str, versions: Iterable[str]) -> list[DatasetVersion]:
    """Which of these versions nobody has read image by image yet."""
    return every(
        session,
        select(DatasetVersion)
        .where(
            DatasetVersion.project_id == project_id,
            DatasetVersion.id.in_(list(versions)),
            DatasetVersion.checked_at.is_(None),
        )
        .order_by(DatasetVersion.id),
        DatasetVersion,
    )


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
