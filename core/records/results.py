"""What a job measured (as it goes) and what it made (published at once, at its end)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.records import jobs
from core.records.rows import every
from core.records.tables import JobMetric, SplitResultRow


def list_metrics(
    session: Session,
    project_id: str,
    job_id: str,
    *,
    names: Sequence[str] | None = None,
    seed: int | None = None,
    from_step: int = 0,
    limit: int = 10_000,
) -> list[JobMetric]:
    """A job's metrics in the order of (step, seed, name). Continue from the last step seen."""
    jobs.get(session, project_id, job_id)
    statement = select(JobMetric).where(JobMetric.job_id == job_id, JobMetric.step >= from_step)
    if names is not None:
        statement = statement.where(JobMetric.name.in_(names))
    if seed is not None:
        statement = statement.where(JobMetric.seed == seed)
    by = (JobMetric.step, JobMetric.seed, JobMetric.name)
    return every(session, statement.order_by(*by).limit(limit), JobMetric)


def list_split_results(session: Session, project_id: str, job_id: str) -> list[SplitResultRow]:
    """The job's result table, in the order the trainer reported it. Empty before it succeeds."""
    owned = (SplitResultRow.project_id == project_id, SplitResultRow.job_id == job_id)
    found = every(
        session, select(SplitResultRow).where(*owned).order_by(SplitResultRow.id), SplitResultRow
    )
    if not found:
        jobs.get(session, project_id, job_id)
    return found
