"""What finished jobs took: the only source of what a job like them may take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.jobs.messages import PEAK_MEMORY
from core.jobs.spec import JobSpec
from core.records.jobs import running_seconds
from core.records.rows import every
from core.records.tables import Job, JobEvent

MOST_JOBS = 20  # the newest ones count
_LOOKED_AT = 1000  # jobs of a project that are searched for them


@dataclass(frozen=True)
class Measured:
    """One job that ran from its start to its end at one go."""

    spec: JobSpec
    seconds: float
    peak_memory_bytes: int | None


def finished_like(session: Session, project_id: str, model_id: str, method: str) -> list[Measured]:
    """The project's own jobs of that base and method, newest first. Other projects' are none of
    its business, not even their duration."""
    recent = (
        select(Job.id)
        .where(Job.project_id == project_id)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(_LOOKED_AT)
        .subquery()
    )
    like = (
        select(Job)
        .where(
            Job.id.in_(select(recent.c.id)),
            Job.status == "succeeded",
            Job.attempt == 1,
            Job.requested_model == model_id,
            Job.method == method,
        )
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(MOST_JOBS)
    )
    jobs = every(session, like, Job)
    peaks = _peaks(session, [job.id for job in jobs])
    return [
        Measured(JobSpec.model_validate(job.spec), seconds, peaks.get(job.id))
        for job in jobs
        if (seconds := running_seconds(job)) is not None
    ]


def _peaks(session: Session, job_ids: list[str]) -> dict[str, int]:
    said = select(JobEvent).where(
        JobEvent.job_id.in_(job_ids), JobEvent.message.startswith(PEAK_MEMORY, autoescape=True)
    )
    return {
        row.job_id: int(row.data["peak_memory_bytes"])
        for row in every(session, said, JobEvent)
        if row.data and "peak_memory_bytes" in row.data
    }
