"""Uploaded files and the files that jobs made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ids import new_id
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import File

RESULT_PURPOSE = "fine-tune-results"
_MANY = 1000  # values of one query


def create(
    session: Session,
    project_id: str,
    *,
    filename: str,
    purpose: str,
    size: int,
    sha256: str,
    object_key: str,
    dataset_version: str | None = None,
    structure: dict[str, Any] | None = None,
    status: str = "processed",
    status_details: str | None = None,
    job_id: str | None = None,
    key_id: str | None = None,
) -> File:
    """The row of a file whose object is stored already."""
    row = first(
        session,
        insert(File)
        .values(
            id=new_id("file"),
            project_id=project_id,
            filename=filename,
            purpose=purpose,
            status=status,
            status_details=status_details,
            bytes=size,
            sha256=sha256,
            object_key=object_key,
            dataset_version=dataset_version,
            structure=structure,
            job_id=job_id,
            key_id=key_id,
            created_at=now(),
        )
        .returning(File),
        File,
    )
    assert row is not None
    return row


def get(session: Session, project_id: str, file_id: str, *, param: str | None = None) -> File:
    """The project's file. NotFound for unknown, foreign and deleted ids alike."""
    row = first(
        session,
        select(File).where(
            File.project_id == project_id, File.id == file_id, File.deleted_at.is_(None)
        ),
        File,
    )
    if row is None:
        raise _no_file(file_id, param)
    return row


def get_many(session: Session, project_id: str, file_ids: Iterable[str]) -> dict[str, File]:
    """The project's files among these ids, by id."""
    wanted, found = list(file_ids), {}
    for start in range(0, len(wanted), _MANY):
        statement = select(File).where(
            File.project_id == project_id,
            File.id.in_(wanted[start : start + _MANY]),
            File.deleted_at.is_(None),
        )
        found.update({row.id: row for row in every(session, statement, File)})
    return found


def list_files(
    session: Session,
    project_id: str,
    *,
    purpose: str | None = None,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 100,
) -> Page[File]:
    """One page of the project's files."""
    filters: list[ColumnElement[bool]] = [File.deleted_at.is_(None)]
    if purpose is not None:
        filters.append(File.purpose == purpose)
    return paginate(
        session,
        File,
        File.project_id == project_id,
        filters,
        after=after,
        order=order,
        limit=limit,
    )


def result_files(
    session: Session, project_id: str, job_ids: Iterable[str]
) -> dict[str, list[File]]:
    """The result files of each job, by name."""
    found: dict[str, list[File]] = {job_id: [] for job_id in job_ids}
    rows = every(
        session,
        select(File)
        .where(
            File.project_id == project_id,
            File.job_id.in_(found),
            File.deleted_at.is_(None),
        )
        .order_by(File.filename, File.id),
        File,
    )
    for row in rows:
        found[str(row.job_id)].append(row)
    return found


def delete(session: Session, project_id: str, file_id: str) -> None:
    """The file is gone for its project. Dataset versions made from it remain."""
    gone = session.execute(
        update(File)
        .where(File.project_id == project_id, File.id == file_id, File.deleted_at.is_(None))
        .values(deleted_at=now())
        .returning(File.id)
    ).first()
    if gone is None:
        raise _no_file(file_id, None)


def _no_file(file_id: str, param: str | None) -> NotFound:
    return NotFound(f"There is no file {file_id!r}; list yours with GET /v1/files.", param=param)
