"""A project goes: its keys open nothing at once, its jobs are stopped, then its bytes are deleted,
then its rows. The audit lines that others wrote about it stay with those others."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.records import jobs, projects, states
from core.records.clock import now
from core.records.tables import ApiKey, Base, Job, KeySecret, Project, Upload


def request(session: Session, project_id: str, asked_by: str | None) -> Project:
    """Marks the project as deleted, as it was; its name is free at once. `asked_by` is the project
    of the key that asks. Raises NotFound, and Conflict for one's own."""
    row = projects.get(session, project_id)
    if project_id == asked_by:
        raise Conflict(
            f"{project_id} is the project of the key that asks, which would be gone before the "
            "answer. Use a key of another project, or `lipsum projects delete`.",
            code="own_project",
        )
    for statement in (
        update(Project)
        .where(Project.id == project_id, Project.deleted_at.is_(None))
        .values(deleted_at=now(), name=f"{row.name} (deleted, {project_id})"),
        update(ApiKey)
        .where(ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now()),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
    return row


def under_way(session: Session) -> list[str]:
    """Ids of projects that are being deleted."""
    return list(
        session.execute(select(Project.id).where(Project.deleted_at.is_not(None))).scalars()
    )


def stop_jobs(session: Session, project_id: str) -> bool:
    """Cancels what has not ended; whether no worker holds a job of the project any more."""
    held = False
    open_jobs = select(Job.id).where(Job.project_id == project_id, Job.finished_at.is_(None))
    for job_id in list(session.execute(open_jobs).scalars()):
        job = jobs.request_cancel(session, project_id, job_id)
        held = held or job.status not in states.ENDED
    return not held


def prefixes(session: Session, project_id: str) -> list[str]:
    """Where the project's objects lie."""
    owned = [
        f"{place}/{row_id}"
        for place, kind in (("jobs", Job), ("uploads", Upload))
        for row_id in session.execute(
            select(kind.id).where(kind.project_id == project_id)
        ).scalars()
    ]
    return [f"files/{project_id}", f"datasets/{project_id}", *owned]


def remove_rows(session: Session, project_id: str) -> None:
    """Everything that says something of the project, and the project."""
    mine = select(ApiKey.id).where(ApiKey.project_id == project_id)
    session.execute(
        delete(KeySecret).where(KeySecret.key_id.in_(mine)),
        execution_options={"synchronize_session": False},
    )
    for table in reversed(Base.metadata.sorted_tables):
        if "project_id" in table.columns:
            session.execute(table.delete().where(table.c.project_id == project_id))
    session.execute(delete(Project).where(Project.id == project_id))
