"""Jobs and comparisons, what they did and what came of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.states import STATUSES
from core.records.tables.base import SERIAL, Base, one_of, partial

PHASES = ("preparing", "zero_shot", "training", "combining", "evaluating", "exporting")
STATUS_REASONS = (
    "invalid_dataset",
    "invalid_spec",
    "out_of_memory",
    "loss_not_finite",
    "worker_lost",
    "timeout",
    "storage_error",
    "user_cancelled",
    "internal",
)

COMPARISON_STATUSES = ("running", "cancelling", "succeeded", "failed", "cancelled")


class Job(Base):
    """A fine-tuning job: what was asked, where it stands, and who holds it."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("status", STATUSES),
        one_of("phase", PHASES),
        one_of("status_reason", STATUS_REASONS),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease"),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "lease_expires_at"),  # what the sweeper looks for
        partial("ix_jobs_without_metadata", "metadata IS NULL", "project_id", "created_at", "id"),
        # These are as small as what is going on, however much has ended. None begins with the
        # status: PostgreSQL takes these conditions for independent, and would rather sort the few
        # rows it expects than walk along the queue. Where it does so all the same (a thousand rows
        # in order, of one status) the index has the status among its conditions.
        partial(
            "ix_jobs_waiting",  # the order of claims
            "finished_at IS NULL AND lease_token IS NULL",
            *("project_id", "rank", "created_at", "id"),
        ),
        partial(
            "ix_jobs_queued",  # places in the queue
            "finished_at IS NULL AND lease_token IS NULL "
            "AND status IN ('validating_files', 'queued')",
            *("project_id", "rank", "created_at", "id"),
        ),
        partial("ix_jobs_held", "lease_token IS NOT NULL", "project_id"),
        partial(
            "ix_jobs_asking",
            "requires IS NOT NULL AND finished_at IS NULL AND lease_token IS NULL",
            "requires",
        ),
        partial("ix_jobs_open", "finished_at IS NULL", "project_id"),  # for limits
        partial("ix_jobs_failed", "status = 'failed'", "project_id", "finished_at"),
        partial(  # for the sweeper
            "ix_jobs_unpurged", "purged_at IS NULL AND finished_at IS NOT NULL", "finished_at"
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))

    # What was asked.
    key_id: Mapped[str | None]  # of the key that asked; NULL where that was not noted
    request: Mapped[dict[str, Any]]  # as the user wrote it
    spec: Mapped[dict[str, Any]]  # core.jobs.spec.JobSpec
    spec_digest: Mapped[str]  # equal for jobs that do the same work
    requested_model: Mapped[str]
    method: Mapped[str]
    training_file: Mapped[str]
    validation_file: Mapped[str | None]
    suffix: Mapped[str | None]
    user_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    # Minus its priority: of the project's own jobs the lowest goes first, as an index has it.
    rank: Mapped[int] = mapped_column(server_default=text("0"))
    requires: Mapped[str | None]  # of its worker's labels (core.jobs.labels.one_text)

    # Where it stands.
    status: Mapped[str]
    phase: Mapped[str | None]
    status_reason: Mapped[str | None]
    error_message: Mapped[str | None]
    error_param: Mapped[str | None]
    step: Mapped[int]
    total_steps: Mapped[int]
    progress: Mapped[float]  # 0 to 1, of the whole job
    progress_at: Mapped[float | None]
    estimated_finish: Mapped[float | None]
    fine_tuned_model: Mapped[str | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]  # first time it ran
    finished_at: Mapped[float | None]

    # Who holds it.
    attempt: Mapped[int]  # times it began to run; names attempts/{n}/
    failures: Mapped[int]  # claims that ended by death or a fault of ours
    lease_token: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_boot_id: Mapped[str | None]
    lease_expires_at: Mapped[float | None]
    not_before: Mapped[float | None]  # not claimed earlier than this, after a failure

    next_event_sequence: Mapped[int]
    purged_at: Mapped[float | None]  # when the sweeper deleted what no row names

    # What its worker is asked to stop for: "pause" while it runs, "keep" while it is cancelled.
    stop_for: Mapped[str | None]
    environment: Mapped[dict[str, Any] | None]  # where its metrics were computed


class JobMetadata(Base):
    """One pair of a job's metadata, so that jobs can be listed by it: in the index's order."""

    __tablename__ = "job_metadata"
    __table_args__ = (Index(None, "project_id", "key", "value", "created_at", "job_id"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    value: Mapped[str]
    created_at: Mapped[float]  # the job's


class JobTransition(Base):
    """One change of a job's status."""

    __tablename__ = "job_transitions"
    __table_args__ = (Index(None, "project_id", "at"),)  # what a month's usage adds up

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    reason: Mapped[str | None]
    attempt: Mapped[int]
    at: Mapped[float]


class JobEvent(Base):
    """A line for the job's owner. Sequences start at 1, without gaps, in commit order."""

    __tablename__ = "job_events"
    __table_args__ = (
        one_of("level", ("info", "warn", "error")),
        one_of("type", ("message", "metrics")),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    level: Mapped[str]
    type: Mapped[str]
    message: Mapped[str]
    data: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]


class JobMetric(Base):
    """A value measured at a training step. NULL is a value that was not a finite number."""

    __tablename__ = "job_metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    value: Mapped[float | None]


class JobCheckpoint(Base):
    """A state that an attempt stored and its job can go on from, numbered from 1."""

    __tablename__ = "job_checkpoints"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    attempt: Mapped[int]
    run: Mapped[int]  # which of the job's runs
    step: Mapped[int]  # steps of that run that are done
    parts: Mapped[dict[str, Any]]  # name to core.jobs.checkpoint.StoredPart
    created_at: Mapped[float]
    discarded_at: Mapped[float | None] = mapped_column(index=True)  # the sweeper may delete it


class JobLog(Base):
    """A piece of what a job's trainers printed, without secrets."""

    __tablename__ = "job_logs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # byte of the whole
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    attempt: Mapped[int]
    size: Mapped[int]
    created_at: Mapped[float]
    data: Mapped[bytes]  # last, so that SQLite finds the others without reading it


class SplitResultRow(Base):
    """One number of the result table. NULL is a value that was not a finite number."""

    __tablename__ = "split_results"
    __table_args__ = (UniqueConstraint("job_id", "seed", "model", "split", "metric"),)

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    seed: Mapped[int]
    model: Mapped[str]
    split: Mapped[str]
    metric: Mapped[str]
    value: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    n: Mapped[int]


class Comparison(Base):
    """Several methods on one data set, asked for at once: its jobs are in `contenders`."""

    __tablename__ = "comparisons"
    __table_args__ = (
        one_of("status", COMPARISON_STATUSES),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "status", "created_at", "id"),  # what the sweeper looks for
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[str | None]  # of the key that asked; NULL where that was not noted
    request: Mapped[dict[str, Any]]  # as the user wrote it
    status: Mapped[str]
    error_message: Mapped[str | None]
    report_job: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    verdict: Mapped[str | None]
    user_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created_at: Mapped[float]
    finished_at: Mapped[float | None]


class ContenderRow(Base):
    """One method of a comparison: waiting for others, being a job, or left out."""

    __tablename__ = "contenders"

    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    label: Mapped[str]
    method: Mapped[dict[str, Any]]  # as a job's request has it, without inputs
    of: Mapped[list[str]] = mapped_column(JSON())  # labels of what it reads
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    left_out: Mapped[str | None]  # why there will be no job
