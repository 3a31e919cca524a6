"""The one place that changes a job's status: the row, its transition and its event together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from core.records import checkpoints, deliveries, events, scheduling, states
from core.records.clean import clean_text
from core.records.clock import now
from core.records.events import Line
from core.records.rows import first
from core.records.tables import Job, JobTransition

UNHELD: dict[str, Any] = {
    "lease_token": None,
    "lease_owner": None,
    "lease_boot_id": None,
    "lease_expires_at": None,
}
_AT_REST: dict[str, Any] = {"phase": None, "estimated_finish": None}
_NEEDS_NO_CHECKPOINT = ("succeeded", "cancelled")  # a failed job may be tried again


def move(
    session: Session, job: Job, to: str, line: Line, *, reason: str | None = None, **values: Any
) -> Job:
    """Changes the status of a job whose row this transaction holds; the row as it is now.

    Raises Conflict when the change is not legal. `values` are further columns to set. Whatever
    the job was asked to stop for has happened, or will not.
    """
    states.check(job.id, job.status, to)
    values = {"stop_for": None} | values
    if to != "running":
        values = _AT_REST | values
    if to in states.ENDED:
        values = UNHELD | values | {"finished_at": now()}
    moved = first(
        session,
        update(Job)
        .where(
            Job.id == job.id,
            Job.status == job.status,
            Job.lease_token.is_not_distinct_from(job.lease_token),
        )
        .values(status=to, status_reason=reason, **values)
        .returning(Job),
        Job,
    )
    if moved is None:
        raise RuntimeError(f"job {job.id} changed while its row was held")
    if job.status == "running":
        scheduling.note_run(session, job)
    if to in _NEEDS_NO_CHECKPOINT:
        checkpoints.discard_all(session, job.id)
    record(session, moved, job.status, reason)
    events.append(session, job.id, [line])
    if to in states.ENDED:
        deliveries.emit(session, job.project_id, f"fine_tuning.job.{to}", job.id)
    return moved


def record(session: Session, job: Job, from_status: str | None, reason: str | None) -> None:
    """Notes that the job came from `from_status` (None when it was just created)."""
    session.execute(
        insert(JobTransition).values(
            job_id=job.id,
            project_id=job.project_id,
            from_status=from_status,
            to_status=job.status,
            reason=reason,
            attempt=job.attempt,
            at=now(),
        )
    )


def error_columns(message: str, param: str | None) -> dict[str, Any]:
    """The columns that tell a user why a job failed."""
    return {"error_message": clean_text(message), "error_param": param}
