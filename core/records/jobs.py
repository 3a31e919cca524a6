"""Jobs as their owners see them: create, read, list, cancel.

Pause, resume and retry are in `core.records.stopping`, workers' writes in `leases`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, insert, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.jobs.labels import one_text
from core.jobs.spec import JobSpec
from core.records import (
    checkpoints,
    datasets,
    events,
    job_metadata,
    outbox,
    transitions,
)
from core.records.clock import now
from core.records.events import Line
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import Job, JobTransition


def create(
    session: Session,
    project_id: str,
    spec: JobSpec,
    request: Mapping[str, Any],
    *,
    key_id: str | None = None,
    steps: int = 0,
) -> Job:
    """A new job with its first transition, its first event and its doorbell.

    `request` is the body as the user wrote it, `key_id` the key it came with, `steps` how many it
    will train. The job waits in
    `validating_files` while one of its dataset versions is unchecked, else in `queued`. Ring
    `core.doorbell` after the commit.
    """
    versions = [dataset.version for dataset in spec.datasets]
    unchecked = datasets.unchecked(session, project_id, versions)
    status = "validating_files" if unchecked else "queued"
    job = first(
        session,
        insert(Job)
        .values(
            id=spec.job_id,
            project_id=project_id,
            key_id=key_id,
            request=dict(request),
            spec=spec.model_dump(mode="json"),
            spec_digest=spec_digest(spec),
            requested_model=request["model"],
            method=spec.method,
            training_file=request["training_file"],
            validation_file=request.get("validation_file"),
            suffix=request.get("suffix"),
            user_metadata=request.get("metadata"),
            rank=-(request.get("priority") or 0),
            requires=one_text(request.get("requires") or ()),
            status=status,
            step=0,
            total_steps=steps,
            progress=0.0,
            attempt=0,
            failures=0,
            next_event_sequence=events.FIRST + 1,
            created_at=now(),
        )
        .returning(Job),
        Job,
    )
    assert job is not None
    job_metadata.add(session, job)
    transitions.record(session, job, None, None)
    events.begin(session, job, Line(f"Created fine-tuning job: {job.id}"))
    outbox.add(session, job)
    return job


def get(session: Session, project_id: str, job_id: str) -> Job:
    """The project's job. NotFound for unknown and foreign ids alike."""
    return _require(first(session, _owned(project_id, job_id), Job), job_id)


def list_jobs(
    session: Session,
    project_id: str,
    *,
    status: str | None = None,
    metadata: Mapping[str, str] | None = None,
    without_metadata: bool = False,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[Job]:
    """One page of the project's jobs: all, those that have all of these pairs, or those that have
    no metadata."""
    filters: list[ColumnElement[bool]] = [] if status is None else [Job.status == status]
    if metadata:
        return job_metadata.list_jobs(
            session, project_id, metadata, filters, after=after, order=order, limit=limit
        )
    if without_metadata:
        filters.append(Job.user_metadata.is_(None))
    return paginate(
        session, Job, Job.project_id == project_id, filters, after=after, order=order, limit=limit
    )


def request_cancel(session: Session, project_id: str, job_id: str, *, keep: bool = False) -> Job:
    """Ends a job that nobody holds; tells the worker that holds it to stop. To `keep` is to make
    a model of the last checkpoint first, if there is one, which takes a worker.

    Cancelling twice is one cancel. Conflict `job_already_ended` when the job has ended.
    """
    job = hold(session, project_id, job_id)
    if job.status == "cancelling":
        return job
    stop_for = "keep" if keep else None
    if is_held(session, job):
        told = "to save its state and stop" if keep else "to stop"
        line = Line(f"Cancelling: the worker was told {told}.")
        transitions.move(
            session, job, "cancelling", line, reason="user_cancelled", stop_for=stop_for
        )
    elif keep and checkpoints.usable(session, job.id):
        line = Line("Cancelling: a worker will make a model of the last checkpoint.")
        job = transitions.move(
            session,
            job,
            "cancelling",
            line,
            reason="user_cancelled",
            stop_for=stop_for,
            **transitions.UNHELD,
        )
        outbox.add(session, job)
    else:
        end_cancelled(session, job)
    return get(session, project_id, job_id)


def hold(session: Session, project_id: str, job_id: str) -> Job:
    """The project's job, its row locked until the transaction ends. NotFound as `get`."""
    owned = _owned(project_id, job_id).with_for_update()
    return _require(first(session, owned, Job), job_id)


def is_held(session: Session, job: Job) -> bool:
    """Whether a worker has it. A lease that has run out does not count: it can write nothing."""
    if job.lease_expires_at is None:
        return False
    return bool(session.execute(select(now() <= job.lease_expires_at)).scalar_one())


def end_cancelled(session: Session, job: Job) -> Job:
    """Ends, as cancelled, a job whose row this transaction holds."""
    line = Line("The job was cancelled.", "warn")
    moved = transitions.move(session, job, "cancelled", line, reason="user_cancelled")
    outbox.remove(session, job.id)
    return moved


def list_transitions(session: Session, project_id: str, job_id: str) -> list[JobTransition]:
    """Every status the job has had, oldest first."""
    owned = (JobTransition.project_id == project_id, JobTransition.job_id == job_id)
    found = every(
        session, select(JobTransition).where(*owned).order_by(JobTransition.id), JobTransition
    )
    if not found:
        get(session, project_id, job_id)
    return found


def running_seconds(job: Job) -> float | None:
    """From the job's first start to its end, pauses between attempts included; None before."""
    if job.started_at is None or job.finished_at is None:
        return None
    return job.finished_at - job.started_at


def spec_digest(spec: JobSpec) -> str:
    """Equal for jobs that ask for the same work, whatever they and their models are called."""
    content = spec.model_dump(mode="json", exclude={"job_id", "model_id", "integrations"})
    if not spec.starts:  # jobs that begin from theta0 keep the digest they had before others could
        del content["starts"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _owned(project_id: str, job_id: str) -> Select[Job]:
    return select(Job).where(Job.project_id == project_id, Job.id == job_id)


def _require(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(
            f"There is no job {job_id!r}; list yours with GET /v1/fine_tuning/jobs.",
            param="fine_tuning_job_id",
        )
    return job
