"""States that jobs can go on from: recorded by whoever holds the job, given to whoever is next.

The last two are kept, since the last may turn out to be damaged. What is discarded stays a row,
and its objects stay, until the sweeper has deleted them: nobody else deletes objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from core.jobs.checkpoint import CheckpointReference, StoredPart
from core.jobs.messages import Checkpoint
from core.records.clock import now
from core.records.rows import every
from core.records.tables import Job, JobCheckpoint

KEPT = 2
_DISCARDED_AT_ONCE = 100


def record(session: Session, job: Job, stored: Checkpoint) -> None:
    """Notes a checkpoint of a job whose row this transaction holds, and discards older ones.
    Raises ValueError for an object that is not the job's own.
    """
    prefix = f"jobs/{job.id}/attempts/"
    for part in stored.parts.values():
        if not part.object_key.startswith(prefix):
            raise ValueError(f"{part.object_key!r} is not under {prefix}")
    last = select(func.coalesce(func.max(JobCheckpoint.number), 0)).where(
        JobCheckpoint.job_id == job.id
    )
    number: int = session.execute(last).scalar_one() + 1
    session.execute(
        insert(JobCheckpoint).values(
            job_id=job.id,
            number=number,
            project_id=job.project_id,
            attempt=job.attempt,
            run=stored.run,
            step=stored.step,
            parts={name: part.model_dump() for name, part in stored.parts.items()},
            created_at=now(),
        )
    )
    kept = [row.number for row in _usable(session, job.id)[:KEPT]]
    _discard(session, job.id, JobCheckpoint.number.not_in(kept))


def usable(session: Session, job_id: str) -> list[CheckpointReference]:
    """What the job can go on from, the newest first."""
    return [
        CheckpointReference(number=row.number, run=row.run, step=row.step, parts=row.parts)
        for row in _usable(session, job_id)
    ]


def refuse(session: Session, job: Job, number: int) -> None:
    """The trainer found it damaged."""
    _discard(session, job.id, JobCheckpoint.number == number)


def discard_all(session: Session, job_id: str) -> None:
    """The job needs none any more."""
    _discard(session, job_id)


def discard_stale(session: Session, seconds: float) -> None:
    """Those of jobs that failed longer than that ago and were not retried."""
    its_job_is_stale = exists().where(
        Job.id == JobCheckpoint.job_id,
        Job.status == "failed",
        Job.finished_at < now() - seconds,
    )
    session.execute(
        update(JobCheckpoint)
        .where(JobCheckpoint.discarded_at.is_(None), its_job_is_stale)
        .values(discarded_at=now()),
        execution_options={"synchronize_session": False},
    )


def discarded(session: Session) -> dict[str, list[JobCheckpoint]]:
    """Some of what may be deleted, by job."""
    rows = every(
        session,
        select(JobCheckpoint)
        .where(JobCheckpoint.discarded_at.is_not(None))
        .order_by(JobCheckpoint.discarded_at, JobCheckpoint.job_id, JobCheckpoint.number)
        .limit(_DISCARDED_AT_ONCE),
        JobCheckpoint,
    )
    found: dict[str, list[JobCheckpoint]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row)
    return found


def forget(session: Session, rows: Sequence[JobCheckpoint]) -> None:
    """Their objects are gone."""
    for row in rows:
        session.execute(
            delete(JobCheckpoint).where(
                JobCheckpoint.job_id == row.job_id, JobCheckpoint.number == row.number
            ),
            execution_options={"synchronize_session": False},
        )


def usable_keys(session: Session, job_id: str) -> set[str]:
    """Keys of all that the job can go on from."""
    return keys(_usable(session, job_id))


def all_keys(session: Session, job_id: str) -> set[str]:
    """Keys that any row of the job names, discarded ones too."""
    rows = select(JobCheckpoint).where(JobCheckpoint.job_id == job_id)
    return keys(every(session, rows, JobCheckpoint))


def keys(rows: Iterable[JobCheckpoint]) -> set[str]:
    """Keys of the objects that these checkpoints are made of."""
    parts = [StoredPart.model_validate(part) for row in rows for part in row.parts.values()]
    return {part.object_key for part in parts}


def _usable(session: Session, job_id: str) -> list[JobCheckpoint]:
    return every(
        session,
        select(JobCheckpoint)
        .where(JobCheckpoint.job_id == job_id, JobCheckpoint.discarded_at.is_(None))
        .order_by(JobCheckpoint.number.desc()),
        JobCheckpoint,
    )


def _discard(session: Session, job_id: str, *which: ColumnElement[bool]) -> None:
    session.execute(
        update(JobCheckpoint)
        .where(JobCheckpoint.job_id == job_id, JobCheckpoint.discarded_at.is_(None), *which)
        .values(discarded_at=now()),
        execution_options={"synchronize_session": False},
    )
