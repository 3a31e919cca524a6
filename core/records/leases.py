"""What a worker may write, and only while it holds the job.

A claim is a token in the job's row with an expiry on the database's clock. Every function here
that takes a `Claim` first locks the row *with that token*; when there is none the job is somebody
else's by now, `LeaseLost` is raised and nothing is written: kill the trainer and forget the job.

Only `reap` and `release_previous_boot` take a lease away from a worker, and both count it as a
failure of the job: a job that kills its workers ends after `max_attempts`, whatever it was doing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from core.jobs.checkpoint import CheckpointReference
from core.jobs.messages import Message
from core.jobs.spec import JobSpec
from core.records import (
    checkpoints,
    datasets,
    events,
    outbox,
    reports,
    scheduling,
    stopping,
    transitions,
)
from core.records.clock import now
from core.records.events import Line
from core.records.jobs import end_cancelled
from core.records.rows import every, first
from core.records.tables import Job

FINAL_REASONS = frozenset({"invalid_dataset", "invalid_spec", "loss_not_finite", "out_of_memory"})
MAX_COOL_OFF = 60.0  # seconds; the n-th failure waits min(2^n, this)

# Seconds, times 2^n, after the n-th failure of the object store: it is away for minutes where it is
# not back in seconds, which a trainer sits out by itself, and every try meets the same store.
STORE_COOL_OFF = 15.0
NO_LABELS: Mapping[str, str] = MappingProxyType({})
_REAP_LIMIT = 100

Duty = Literal["check", "train", "keep"]
Order = Literal["go_on", "save", "cancel"]
"""What a worker is to do with a job it holds: stop it with its state saved, or drop it."""


class LeaseLost(Exception):
    """The job is no longer held with this claim's token."""


@dataclass(frozen=True)
class Claim:
    """A job that a worker holds, and what it is to do with it."""

    job_id: str
    project_id: str
    token: str
    owner: str
    duty: Duty
    attempt: int  # of running; 0 while the dataset is checked for the first time
    failures: int
    spec: JobSpec
    checkpoints: tuple[CheckpointReference, ...] = ()  # to go on from, the newest first


@dataclass(frozen=True)
class Outcome:
    """Where a job stands after a worker let go of it."""

    job_id: str
    status: str
    retry_seconds: float | None = None  # when it may be claimed again, if it waits


def claim(
    session: Session,
    owner: str,
    boot_id: str,
    lease_seconds: float,
    labels: Mapping[str, str] = NO_LABELS,
) -> Claim | None:
    """Takes the waiting job whose turn it is of those that a worker with these labels may take, or
    None. A job with unchecked datasets is claimed to check them and keeps its status, and so is a
    cancelled one whose checkpoint is to be kept; any other starts running, with its attempt
    counted.
    """
    token = secrets.token_hex(16)
    lease = {
        "lease_token": token,
        "lease_owner": owner,
        "lease_boot_id": boot_id,
        "lease_expires_at": now() + lease_seconds,
        "not_before": None,
    }
    job = _take(session, labels, lease)
    if job is None:
        return None
    outbox.remove(session, job.id)
    try:
        spec = JobSpec.model_validate(job.spec)
    except ValidationError as error:
        _end_unreadable(session, job, error)
        return claim(session, owner, boot_id, lease_seconds, labels)
    duty, job = _begin(session, job, spec)
    found = () if duty == "check" else tuple(checkpoints.usable(session, job.id))
    return Claim(job.id, job.project_id, token, owner, duty, job.attempt, job.failures, spec, found)


def heartbeat(session: Session, held: Claim, lease_seconds: float) -> Order:
    """Extends the lease; what the worker is to do."""
    row = session.execute(
        update(Job)
        .where(Job.id == held.job_id, Job.lease_token == held.token)
        .values(lease_expires_at=now() + lease_seconds)
        .returning(Job.status, Job.stop_for)
    ).one_or_none()
    if row is None:
        raise LeaseLost(held.job_id)
    return _order(held, row.status, row.stop_for)


def hold(session: Session, held: Claim) -> Job:
    """The job's row, locked until the transaction ends. LeaseLost when the token is stale."""
    mine = select(Job).where(Job.id == held.job_id, Job.lease_token == held.token)
    job = first(session, mine.with_for_update(), Job)
    if job is None:
        raise LeaseLost(held.job_id)
    return job


def relay(session: Session, held: Claim, messages: Sequence[Message]) -> Order:
    """Writes progress, events, metrics, checkpoints and checked datasets; what the worker is to
    do, as `heartbeat`. Results wait for `publish`. Raises `core.records.metrics.Differs`.
    """
    job = hold(session, held)
    reports.write(session, job, messages)
    return _order(held, job.status, job.stop_for)


def pass_check(
    session: Session, held: Claim, messages: Sequence[Message], *, max_attempts: int
) -> Outcome:
    """The datasets are checked: the job is queued and free. A failure when one still is not."""
    job = hold(session, held)
    reports.write(session, job, messages)
    left = _unchecked(session, job, held.spec)
    if left:
        message = f"The check ended without an index of dataset version {left[0]}."
        return settle(session, job, "internal", message, max_attempts=max_attempts)
    if job.status == "cancelling" or job.stop_for is not None:
        return let_go(session, job)
    line = Line("The files are valid; the job is queued.")
    job = transitions.move(session, job, "queued", line, **transitions.UNHELD)
    outbox.add(session, job)
    return Outcome(job.id, job.status, 0.0)


def fail(
    session: Session,
    held: Claim,
    reason: str,
    message: str,
    *,
    max_attempts: int,
    param: str | None = None,
    data: dict[str, Any] | None = None,
    messages: Sequence[Message] = (),
    is_final: bool = False,
) -> Outcome:
    """The attempt is over. Reasons that would repeat themselves (or one that `is_final`) end the
    job at once; others put it back with a pause until `max_attempts` have failed.
    """
    job = hold(session, held)
    reports.write(session, job, messages)
    most = 1 if is_final else max_attempts
    return settle(session, job, reason, message, max_attempts=most, param=param, data=data)


def give_back(session: Session, held: Claim, messages: Sequence[Message] = ()) -> Outcome:
    """The trainer has stopped and could save its state, because the job is to stop or the worker
    does: no failure is counted.
    """
    job = hold(session, held)
    reports.write(session, job, messages)
    return let_go(session, job)


def stop_cancelled(session: Session, held: Claim, messages: Sequence[Message] = ()) -> Outcome:
    """The trainer of a `cancelling` job was ended."""
    job = hold(session, held)
    reports.write(session, job, messages)
    return Outcome(job.id, end_cancelled(session, job).status)


def let_go(session: Session, job: Job) -> Outcome:
    """A job whose row this transaction holds has no trainer any more, and did not fail: what it
    was asked to stop for happens now, else it waits again.
    """
    if job.status == "cancelling" and job.stop_for == "keep":
        if checkpoints.usable(session, job.id):
            line = Line("The state is saved; a worker will make a model of it.")
            return _requeue(session, job, None, line, 0.0)
        events.append(session, job.id, [Line("There is no checkpoint to keep.", "warn")])
    if job.status == "cancelling":
        return Outcome(job.id, end_cancelled(session, job).status)
    if job.stop_for == "pause":
        return Outcome(job.id, stopping.pause(session, job).status)
    return _requeue(session, job, None, Line("The worker is stopping; the job waits again."), 0.0)


def reap(session: Session, *, max_attempts: int) -> list[Outcome]:
    """Takes back every lease that has run out."""
    return _take_back(session, Job.lease_expires_at < now(), max_attempts)


def release_previous_boot(
    session: Session, owner: str, boot_id: str, *, max_attempts: int
) -> list[Outcome]:
    """Takes back what this worker held before it was restarted, without waiting for expiry."""
    mine = and_(Job.lease_owner == owner, Job.lease_boot_id != boot_id)
    return _take_back(session, mine, max_attempts, pause=False)


def settle(
    session: Session,
    job: Job,
    reason: str,
    message: str,
    *,
    max_attempts: int,
    param: str | None = None,
    data: dict[str, Any] | None = None,
    pause: bool = True,
) -> Outcome:
    """Ends or requeues, after a failure, a job whose row this transaction holds."""
    failures = job.failures + 1
    if job.status == "cancelling":
        seconds = _cool_off(failures, reason) if pause else 0.0
        return _settle_cancelling(session, job, message, seconds, may_try=failures < max_attempts)
    if reason not in FINAL_REASONS and failures < max_attempts:
        seconds = _cool_off(failures, reason) if pause else 0.0
        again = f"{message} Trying again (failure {failures} of {max_attempts} allowed)."
        line = Line(again, "warn", data)
        return _requeue(session, job, reason, line, seconds, failures=failures)
    job = transitions.move(
        session,
        job,
        "failed",
        Line(message, "error", data),
        reason=reason,
        failures=failures,
        **transitions.error_columns(message, param),
    )
    outbox.remove(session, job.id)
    return Outcome(job.id, job.status)


def _take(session: Session, labels: Mapping[str, str], lease: dict[str, Any]) -> Job | None:
    """The next job, held; None when there is none, or other workers are just taking them all."""
    for project_id, asked in scheduling.projects_in_turn(session, labels):
        mine = update(Job).where(Job.id == scheduling.next_job(project_id, asked))
        job = first(session, mine.values(**lease).returning(Job), Job)
        if job is not None:
            return job
    return None


def _settle_cancelling(
    session: Session, job: Job, message: str, seconds: float, *, may_try: bool
) -> Outcome:
    """What is to be kept is tried to keep as often as a job is tried to run."""
    failures = job.failures + 1
    if job.stop_for == "keep" and may_try and checkpoints.usable(session, job.id):
        line = Line(f"{message} The checkpoint will be kept all the same.", "warn")
        return _requeue(session, job, None, line, seconds, failures=failures)
    if job.stop_for == "keep":
        events.append(session, job.id, [Line(f"{message} Nothing could be kept.", "error")])
    return Outcome(job.id, end_cancelled(session, job).status)


def _cool_off(failures: int, reason: str) -> float:
    if reason == "storage_error":
        return STORE_COOL_OFF * 2.0**failures
    return min(2.0**failures, MAX_COOL_OFF)


def _order(held: Claim, status: str, stop_for: str | None) -> Order:
    if status == "cancelling" and stop_for == "keep":
        return "go_on" if held.duty == "keep" else "save"
    if status == "cancelling":
        return "cancel"
    return "save" if stop_for == "pause" else "go_on"


def _unchecked(session: Session, job: Job, spec: JobSpec) -> list[str]:
    versions = [dataset.version for dataset in spec.datasets]
    return datasets.unchecked(session, job.project_id, versions)


def _end_unreadable(session: Session, job: Job, error: ValidationError) -> None:
    """Written by another version of the service. Left where it is it would block the queue."""
    message = f"This version of the service cannot read the job: {error.errors()[0]['msg']}."
    if job.status == "cancelling":
        end_cancelled(session, job)
        return
    columns = transitions.error_columns(message, None)
    line = Line(message, "error")
    transitions.move(session, job, "failed", line, reason="invalid_spec", **columns)


def _begin(session: Session, job: Job, spec: JobSpec) -> tuple[Duty, Job]:
    if job.status == "cancelling":
        return "keep", _begin_keeping(session, job)
    if _unchecked(session, job, spec):
        return "check", _begin_check(session, job)
    return "train", _begin_running(session, job)


def _begin_keeping(session: Session, job: Job) -> Job:
    """An attempt of its own, so that what it uploads lies apart; its status stays."""
    counted = update(Job).where(Job.id == job.id).values(attempt=job.attempt + 1).returning(Job)
    begun = first(session, counted, Job)
    assert begun is not None  # its row is held
    events.append(session, job.id, [Line("Making a model of the last checkpoint.")])
    return begun


def _begin_check(session: Session, job: Job) -> Job:
    if job.status == "queued":
        line = Line("The files must be checked again.")
        return transitions.move(session, job, "validating_files", line)
    if job.failures == 0:
        events.append(session, job.id, [Line("Checking the files, image by image.")])
    return job


def _begin_running(session: Session, job: Job) -> Job:
    if job.status == "validating_files":  # another job checked the same datasets meanwhile
        line = Line("The files were checked before; the job is queued.")
        job = transitions.move(session, job, "queued", line)
    attempt = job.attempt + 1
    again = "" if attempt == 1 else f" again, attempt {attempt}"
    return transitions.move(
        session,
        job,
        "running",
        Line(f"Fine-tuning job started{again}."),
        attempt=attempt,
        started_at=func.coalesce(Job.started_at, now()),
    )


def _requeue(
    session: Session, job: Job, reason: str | None, line: Line, seconds: float, **values: Any
) -> Outcome:
    if job.stop_for == "pause":  # it failed while it was to be paused
        events.append(session, job.id, [line])
        return Outcome(job.id, stopping.pause(session, job, **values).status)
    values = transitions.UNHELD | values | {"not_before": now() + seconds if seconds else None}
    if job.status in ("validating_files", "cancelling"):  # its status stays: only the lease goes
        held = Job.lease_token == job.lease_token
        values |= {"phase": None, "estimated_finish": None}
        session.execute(
            update(Job).where(Job.id == job.id, held).values(**values),
            execution_options={"synchronize_session": False},
        )
        events.append(session, job.id, [line])
        status = job.status
    else:
        status = transitions.move(session, job, "queued", line, reason=reason, **values).status
    outbox.add(session, job, seconds + outbox.RING_AFTER)
    return Outcome(job.id, status, seconds)


def _take_back(
    session: Session, which: ColumnElement[bool], max_attempts: int, *, pause: bool = True
) -> list[Outcome]:
    lost = every(
        session,
        select(Job)
        .where(Job.lease_token.is_not(None), which)
        .order_by(Job.created_at, Job.id)
        .limit(_REAP_LIMIT)
        .with_for_update(skip_locked=True),
        Job,
    )
    return [
        settle(
            session,
            job,
            "worker_lost",
            f"The worker {job.lease_owner} was lost while it held the job.",
            max_attempts=max_attempts,
            pause=pause,
        )
        for job in lost
    ]
