"""A trainer's reports as rows. The caller holds the job's row; nothing here checks a lease."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.jobs.messages import (
    Checkpoint,
    CheckpointRefused,
    DatasetChecked,
    Environment,
    Event,
    Message,
    Metrics,
    Progress,
)
from core.records import checkpoints, datasets, environments, events, metrics
from core.records.clean import clean_json, clean_number
from core.records.clock import now
from core.records.events import Line
from core.records.tables import Job


def write(session: Session, job: Job, messages: Sequence[Message]) -> None:
    """Progress (the last counts), events in order, metrics, checkpoints, checked datasets; not
    results. Raises `core.records.metrics.Differs`.
    """
    if not messages:
        return
    _write_progress(session, job, [item for item in messages if isinstance(item, Progress)])
    lines: list[Line] = []
    environment = environments.Known.of(job)
    for item in messages:
        if isinstance(item, Environment):
            lines += environment.enter(session, item)
        elif isinstance(item, Event):
            lines.append(Line(item.message, item.level, item.data))
        elif isinstance(item, DatasetChecked):
            summary = clean_json(item.summary)
            datasets.mark_checked(session, job.project_id, item.version, item.index_key, summary)
    measured = [item for item in messages if isinstance(item, Metrics)]
    metrics.write(session, job, measured, repeatable=environment.is_repeatable)
    for item in messages:  # behind the metrics of their steps
        if isinstance(item, Checkpoint):
            checkpoints.record(session, job, item)
        elif isinstance(item, CheckpointRefused):
            checkpoints.refuse(session, job, item.number)
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
