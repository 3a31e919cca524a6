"""What may be deleted of an ended job's objects: whatever no row names.

While a job can still run, its attempts upload things that no row names yet, so nothing of it is
garbage but the checkpoints that are discarded (`core.records.checkpoints`). Once it has ended, and
has been quiet for longer than a worker cut off from the database could go on writing, all that
matters is named by a row.
"""

from __future__ import annotations

from sqlalchemy import select, union, update
from sqlalchemy.orm import Session

from core.records import checkpoints, states
from core.records.clock import now
from core.records.tables import File, Job, Model


def jobs_to_purge(session: Session, quiet_seconds: float, limit: int = 20) -> list[str]:
    """Jobs that ended at least `quiet_seconds` ago and were not purged yet, oldest first."""
    statement = (
        select(Job.id)
        .where(
            Job.status.in_(states.ENDED),
            Job.purged_at.is_(None),
            Job.finished_at < now() - quiet_seconds,
        )
        .order_by(Job.finished_at)
        .limit(limit)
    )
    return list(session.execute(statement).scalars())


def named_keys(session: Session, job_id: str) -> set[str]:
    """Keys of a job's objects that rows name, deleted rows' too: those are another sweep's
    business."""
    statement = union(
        select(Model.object_key).where(Model.job_id == job_id),
        select(File.object_key).where(File.job_id == job_id),
    )
    return set(session.execute(statement).scalars()) | checkpoints.all_keys(session, job_id)


def ended_attempts(session: Session, job_id: str) -> int | None:
    """How often an ended job was attempted; None when it is on its way again. A later retry
    uploads under the numbers after it."""
    statement = select(Job.attempt).where(Job.id == job_id, Job.status.in_(states.ENDED))
    return session.execute(statement).scalar_one_or_none()


def ended(session: Session, job_ids: list[str]) -> set[str]:
    """Which of these jobs have ended or never were."""
    live = select(Job.id).where(Job.id.in_(job_ids), Job.status.not_in(states.ENDED))
    return set(job_ids) - set(session.execute(live).scalars())


def mark_purged(session: Session, job_id: str) -> None:
    """The job's unnamed objects are gone."""
    session.execute(
        update(Job).where(Job.id == job_id, Job.status.in_(states.ENDED)).values(purged_at=now()),
        execution_options={"synchronize_session": False},
    )
