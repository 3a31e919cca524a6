"""What a job's trainers printed, as one growing text of which the end is kept.

Rows of up to 64 KiB, named by the byte they begin at, counted over all attempts and from the very
first. Only the worker that holds the job adds to them, so the offsets have no gap.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.records import leases
from core.records.clock import now
from core.records.leases import Claim
from core.records.tables import JobLog
from core.settings import MIB

KEEP_BYTES = 10 * MIB  # of a job's log; what is older is deleted
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Kept:
    """Which bytes of a job's log there are: from `start` up to, not including, `end`."""

    start: int = 0
    end: int = 0


def append(session: Session, held: Claim, data: bytes) -> None:
    """Adds to the end of the job's log. Raises LeaseLost when the job is not held any more."""
    job = leases.hold(session, held)
    end = kept(session, job.id).end
    rows = [
        {
            "job_id": job.id,
            "start": end + place,
            "project_id": job.project_id,
            "attempt": held.attempt,
            "size": len(data[place : place + CHUNK_BYTES]),
            "data": data[place : place + CHUNK_BYTES],
        }
        for place in range(0, len(data), CHUNK_BYTES)
    ]
    if not rows:
        return
    session.execute(insert(JobLog).values(created_at=now()), rows)
    oldest = end + len(data) - KEEP_BYTES
    session.execute(
        delete(JobLog).where(JobLog.job_id == job.id, JobLog.start + JobLog.size <= oldest),
        execution_options={"synchronize_session": False},
    )


def kept(session: Session, job_id: str) -> Kept:
    """What there is of the job's log."""
    mine = select(JobLog.start, JobLog.size).where(JobLog.job_id == job_id)
    last = session.execute(mine.order_by(JobLog.start.desc()).limit(1)).first()
    if last is None:
        return Kept()
    first = session.execute(mine.order_by(JobLog.start).limit(1)).first()
    assert first is not None
    return Kept(first.start, last.start + last.size)


def read(session: Session, job_id: str, start: int) -> tuple[int, bytes]:
    """Where it begins, and the bytes from there to the end of a row. It begins at `start`, or
    later where that is not kept any more; empty where there is nothing yet."""
    mine = select(JobLog.start, JobLog.data).where(JobLog.job_id == job_id)
    around = mine.where(JobLog.start <= start).order_by(JobLog.start.desc())
    row = session.execute(around.limit(1)).first()
    if row is None:
        row = session.execute(mine.order_by(JobLog.start).limit(1)).first()
    if row is None:
        return start, b""
    begins = max(start, row.start)
    return begins, bytes(row.data[begins - row.start :])
