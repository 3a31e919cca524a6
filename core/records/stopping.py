"""What owners ask of jobs beside cancelling them: pause, resume, retry.

All three leave what a job has done: it goes on from its last checkpoint. Asking twice is asking
once, so that a client which lost the answer may ask again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.records import events, jobs, outbox, states, transitions
from core.records.events import Line
from core.records.tables import Job

# Failures that the same job would meet again at the same place.
REPEATING = frozenset({"invalid_dataset", "invalid_spec", "loss_not_finite"})


def request_pause(session: Session, project_id: str, job_id: str) -> Job:
    """A job that nobody holds is paused at once; the worker that holds it is told to save its
    state and stop, and the job is `paused` when it did.

    Conflict for a job that has ended or is being cancelled.
    """
    job = jobs.hold(session, project_id, job_id)
    if job.status == "paused" or job.stop_for == "pause":
        return job
    states.check(job.id, job.status, "paused")
    if jobs.is_held(session, job):
        _ask(session, job, "pause", "Pausing: the worker was told to save its state and stop.")
    else:
        pause(session, job)
    return jobs.get(session, project_id, job_id)


def resume(session: Session, project_id: str, job_id: str) -> Job:
    """A paused job waits for a worker again; a pause that has not happened yet is taken back.
    Others that are on their way are left alone. Ring `core.doorbell` after the commit.

    Conflict for a job that has ended or is being cancelled.
    """
    job = jobs.hold(session, project_id, job_id)
    if job.status == "paused":
        job = transitions.move(session, job, "queued", Line("The job was resumed; it is queued."))
        outbox.add(session, job)
    elif job.stop_for == "pause":
        _ask(session, job, None, "The pause was taken back.")
    elif job.status == "cancelling" or job.status in states.ENDED:
        _refuse(job, "resumed")
    return jobs.get(session, project_id, job_id)


def retry(session: Session, project_id: str, job_id: str) -> Job:
    """A failed job waits for a worker again, with its failures forgotten. Ring `core.doorbell`
    after the commit. Jobs that are on their way are left alone.

    Conflict for a job that succeeded or was cancelled, and for failures that would repeat
    themselves.
    """
    job = jobs.hold(session, project_id, job_id)
    if job.status == "failed":
        if job.status_reason in REPEATING:
            raise Conflict(
                f"Job {job.id} failed with {job.status_reason} and would fail again in the same "
                "place; create another with what its error asks for.",
                code="retry_would_repeat",
            )
        job = transitions.move(
            session,
            job,
            "queued",
            Line("The job is tried again; it is queued."),
            failures=0,
            finished_at=None,
            purged_at=None,
            error_message=None,
            error_param=None,
        )
        outbox.add(session, job)
    elif job.status == "cancelling" or job.status in states.ENDED:
        _refuse(job, "retried")
    return jobs.get(session, project_id, job_id)


def pause(session: Session, job: Job, **values: Any) -> Job:
    """Pauses a job whose row this transaction holds; `values` are further columns to set."""
    line = Line("The job is paused; resume it to go on.")
    values = transitions.UNHELD | {"not_before": None} | values
    moved = transitions.move(session, job, "paused", line, **values)
    outbox.remove(session, job.id)
    return moved


def _ask(session: Session, job: Job, stop_for: str | None, sentence: str) -> None:
    session.execute(
        update(Job).where(Job.id == job.id).values(stop_for=stop_for),
        execution_options={"synchronize_session": False},
    )
    events.append(session, job.id, [Line(sentence)])


def _refuse(job: Job, verb: str) -> None:
    code = "job_already_ended" if job.status in states.ENDED else None
    raise Conflict(
        f"Job {job.id} is {job.status} and cannot be {verb}; nothing was changed.", code=code
    )
