"""The workers that run, as they say themselves. A worker that died is not seen for a while."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.records.clock import now
from core.records.rows import every, upsert
from core.records.tables import Job, Worker

FORGOTTEN_AFTER = 86400.0  # seconds not seen


def say(session: Session, owner: str, boot_id: str, slots: int, labels: str) -> None:
    """The worker runs, with so many slots and these labels."""
    values = {
        "owner": owner,
        "boot_id": boot_id,
        "slots": slots,
        "labels": labels,
        "started_at": now(),
        "seen_at": now(),
    }
    upsert(
        session, Worker, values, key=["owner"], replace=["boot_id", "slots", "labels", "seen_at"]
    )


def leave(session: Session, owner: str, boot_id: str) -> None:
    """The worker stops."""
    session.execute(delete(Worker).where(Worker.owner == owner, Worker.boot_id == boot_id))


def live(session: Session, within: float) -> list[Worker]:
    """Those that were seen in the last `within` seconds, the oldest first."""
    seen = select(Worker).where(Worker.seen_at >= now() - within)
    return every(session, seen.order_by(Worker.started_at, Worker.owner), Worker)


def held_jobs(session: Session) -> dict[str, list[str]]:
    """Ids of the jobs that each worker holds, by its name."""
    held = select(Job.lease_owner, Job.id).where(Job.lease_token.is_not(None))
    found: dict[str, list[str]] = {}
    for owner, job_id in session.execute(held.order_by(Job.created_at, Job.id)):
        found.setdefault(owner or "", []).append(job_id)
    return found


def forget(session: Session) -> None:
    """Workers that will hardly come back."""
    session.execute(
        delete(Worker).where(Worker.seen_at < now() - FORGOTTEN_AFTER),
        execution_options={"synchronize_session": False},
    )
