"""Doorbells that must ring although the ringer died: rows written with the job they are for.

A row is there from a job's creation until a worker claims the job. Whoever writes it rings once
after the commit; the sweeper rings again while it stays.
"""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from core.records.clock import now
from core.records.rows import upsert
from core.records.tables import Job, OutboxRow

RING_AFTER = 5.0  # seconds for the first ring to be heard before the sweeper rings again
RING_AGAIN = 30.0  # seconds between further rings


def add(session: Session, job: Job, delay: float = RING_AFTER) -> None:
    """Somebody must hear of this job; the sweeper rings when it is unclaimed after `delay`."""
    upsert(
        session,
        OutboxRow,
        {
            "job_id": job.id,
            "project_id": job.project_id,
            "due_at": now() + delay,
            "rings": 0,
            "created_at": now(),
        },
        key=["job_id"],
        replace=["due_at"],
    )


def take_due(session: Session) -> list[str]:
    """Ids of jobs to ring for now; each is due again RING_AGAIN seconds later."""
    return list(
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.due_at <= now())
            .values(due_at=now() + RING_AGAIN, rings=OutboxRow.rings + 1)
            .returning(OutboxRow.job_id),
            execution_options={"synchronize_session": False},
        ).scalars()
    )


def remove(session: Session, job_id: str) -> None:
    """The job was heard of, or has ended."""
    session.execute(
        delete(OutboxRow).where(OutboxRow.job_id == job_id),
        execution_options={"synchronize_session": False},
    )
