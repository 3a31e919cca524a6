"""A job's events: one append-only table with a gapless integer sequence per job.

The sequence is taken from the job's row in the transaction that writes the events. That row stays
locked until the transaction ends, so the order of sequences is the order of commits, and a
transaction that fails leaves no gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.clean import clean_json, clean_text
from core.records.clock import now
from core.records.pages import Order, Page, clamp, cut
from core.records.rows import every
from core.records.tables import Job, JobEvent

Level = Literal["info", "warn", "error"]
MAX_MESSAGE = 8192  # characters; longer messages are cut


@dataclass(frozen=True)
class Line:
    """An event that has no sequence yet."""

    message: str
    level: Level = "info"
    data: dict[str, Any] | None = None


def append(session: Session, job_id: str, lines: Sequence[Line]) -> None:
    """Adds events to a job that exists, in order."""
    if not lines:
        return
    taken = session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(next_event_sequence=Job.next_event_sequence + len(lines))
        .returning(Job.next_event_sequence, Job.project_id),
        execution_options={"synchronize_session": False},
    ).one()
    first_sequence = taken.next_event_sequence - len(lines)
    session.execute(
        insert(JobEvent).values(created_at=now()),
        [
            {
                "job_id": job_id,
                "sequence": first_sequence + offset,
                "project_id": taken.project_id,
                "level": line.level,
                "type": "message",
                "message": clean_text(line.message)[:MAX_MESSAGE],
                "data": clean_json(line.data),
            }
            for offset, line in enumerate(lines)
        ],
    )


def list_events(
    session: Session,
    project_id: str,
    job_id: str,
    *,
    after: int | None = None,
    order: Order = "asc",
    limit: int = 100,
) -> Page[JobEvent]:
    """One page of a job's events; `after` is the sequence of the last one seen."""
    statement = select(JobEvent).where(JobEvent.project_id == project_id, JobEvent.job_id == job_id)
    if after is not None:
        beyond = JobEvent.sequence > after if order == "asc" else JobEvent.sequence < after
        statement = statement.where(beyond)
    by = JobEvent.sequence if order == "asc" else JobEvent.sequence.desc()
    items = every(session, statement.order_by(by).limit(clamp(limit) + 1), JobEvent)
    if not items:
        _require_job(session, project_id, job_id)
    return cut(items, limit)


def _require_job(session: Session, project_id: str, job_id: str) -> None:
    known = select(Job.id).where(Job.project_id == project_id, Job.id == job_id)
    if session.execute(known).first() is None:
        raise NotFound(f"There is no job {job_id!r}.")
