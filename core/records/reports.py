"""A trainer's reports as rows. The caller holds the job's row; nothing here checks a lease."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.jobs.messages import DatasetChecked, Event, Message, Metrics, Progress
from core.records import datasets, events
from core.records.clean import clean_json, clean_number
from core.records.clock import now
from core.records.events import Line
from core.records.rows import upsert
from core.records.tables import Job, JobMetric


def write(session: Session, job: Job, messages: Sequence[Message]) -> None:
    """Progress (the last counts), events in order, metrics, checked datasets; not results."""
    if not messages:
        return
    _write_progress(session, job, [item for item in messages if isinstance(item, Progress)])
    _write_metrics(session, job, [item for item in messages if isinstance(item, Metrics)])
    for checked in (item for item in messages if isinstance(item, DatasetChecked)):
        datasets.mark_checked(
            session,
            job.project_id,
            checked.version,
            checked.index_key,
            clean_json(checked.summary),
        )
    lines = [
        Line(item.message, item.level, item.data) for item in messages if isinstance(item, Event)
    ]
    events.append(session, job.id, lines)


def _write_progress(session: Session, job: Job, reports: Sequence[Progress]) -> None:
    if not reports:
        return
    last = reports[-1]
    remaining = clean_number(last.remaining_seconds)
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(
            phase=last.phase,
            step=last.step,
            total_steps=last.total_steps,
            progress=min(max(last.fraction, 0.0), 1.0),
            progress_at=now(),
            estimated_finish=None if remaining is None else now() + remaining,
        ),
        execution_options={"synchronize_session": False},
    )


def _write_metrics(session: Session, job: Job, reports: Sequence[Metrics]) -> None:
    # The same key twice in one batch: the later value, as if they had come in two batches.
    values = {
        (report.seed, report.step, name): value
        for report in reports
        for name, value in report.values.items()
    }
    upsert(
        session,
        JobMetric,
        [
            {
                "job_id": job.id,
                "seed": seed,
                "step": step,
                "name": name,
                "project_id": job.project_id,
                "value": clean_number(value),
            }
            for (seed, step, name), value in values.items()
        ],
        key=["job_id", "seed", "step", "name"],
        replace=["value"],
    )
