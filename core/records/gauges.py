"""How the service as a whole stands, for those who watch it: a few small counts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core.records import states, workers
from core.records.clock import now
from core.records.tables import Job, OutboxRow, WebhookDelivery


@dataclass(frozen=True)
class Gauges:
    """At one moment. Ages are seconds."""

    jobs: dict[str, int]  # that have not ended, by status
    waiting: int
    oldest_waiting: float
    lease_ages: dict[str, float]  # by worker: since it last renewed the one it renewed least lately
    workers: int
    slots: int
    unheard_doorbells: int
    pending_deliveries: int


def read(session: Session, lease_seconds: float) -> Gauges:
    """`lease_seconds` are what workers renew their leases for."""
    counted = select(Job.status, func.count().label("n")).where(Job.finished_at.is_(None))
    jobs = dict.fromkeys((status for status in states.STATUSES if status not in states.ENDED), 0)
    jobs |= {row.status: row.n for row in session.execute(counted.group_by(Job.status))}
    unheld = (Job.finished_at.is_(None), Job.lease_token.is_(None))
    waiting, since = session.execute(
        select(func.count(), func.max(now() - Job.created_at)).where(
            *unheld, Job.status.in_(states.WAITING)
        )
    ).one()
    renewed = now() - (func.min(Job.lease_expires_at) - lease_seconds)
    held = select(Job.lease_owner, renewed.label("age")).where(Job.lease_token.is_not(None))
    working = workers.live(session, lease_seconds)
    return Gauges(
        jobs=jobs,
        waiting=waiting,
        oldest_waiting=since or 0.0,
        lease_ages={
            row.lease_owner or "": row.age
            for row in session.execute(held.group_by(Job.lease_owner))
        },
        workers=len(working),
        slots=sum(worker.slots for worker in working),
        unheard_doorbells=_count(session, select(OutboxRow.job_id).where(OutboxRow.due_at < now())),
        pending_deliveries=_count(
            session, select(WebhookDelivery.id).where(WebhookDelivery.status == "pending")
        ),
    )


def _count(session: Session, rows: Select[str]) -> int:
    return session.execute(select(func.count()).select_from(rows.subquery())).scalar_one()
