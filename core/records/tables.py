"""The tables, for SQLite and PostgreSQL alike.

Times are epoch seconds of the database's clock (`core.records.clock.now`). Every owned table has
`project_id`. No relationships are declared: a row is plain values and loads nothing by itself.
JSON columns are text to the database; no query looks inside them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.records.states import STATUSES

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
UPLOAD_STATUSES = ("pending", "completed", "cancelled", "expired")

# SQLite numbers rows by itself only where the primary key's type is INTEGER.
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _partial(name: str, where: str, *columns: str) -> Index:
    """An index of the rows for which `where` holds, which must stand in a query word for word."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can alter it on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: String,
        int: BigInteger,
        float: Double,
        dict[str, Any]: JSON(none_as_null=True),
    }


class Project(Base):
    """Who owns things. A key belongs to one project and sees nothing of another's."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float]
    # For fair turns: seconds that its jobs ran, decayed (core.jobs.turns) up to `served_at`.
    served_seconds: Mapped[float] = mapped_column(server_default=text("0"))
    served_at: Mapped[float | None]
    deleted_at: Mapped[float | None]  # the sweeper removes every byte of it, and then this row


class ApiKey(Base):
    """Who asks: a name, what it may do, until when. What it is known by is in `key_secrets`."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(JSON())  # core.access.scopes
    prefix: Mapped[str]  # the secret's first characters, shown so that a person can tell keys apart
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    revoked_at: Mapped[float | None]


class KeySecret(Base):
    """A digest that opens a key: one, and for a while after a rotation the one before it too.

    The secret has 256 random bits, so one round of hashing is enough.
    """

    __tablename__ = "key_secrets"

    digest: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), index=True)
    keyed_with: Mapped[str | None]  # KeyHash.fingerprint; NULL is a bare SHA-256, which opens none
    created_at: Mapped[float]
    valid_until: Mapped[float | None]


class LimitRow(Base):
    """What a key or a project is limited to (core.access.limits). No row: to nothing."""

    __tablename__ = "limits"

    owner_id: Mapped[str] = mapped_column(primary_key=True)  # of the key or the project
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    requests_per_minute: Mapped[int | None]
    concurrent_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None]
    device_seconds_per_month: Mapped[int | None]
    running_jobs: Mapped[int | None]  # of a project alone


class RateBucket(Base):
    """Requests a limited key or project may still make; it fills up again as time passes."""

    __tablename__ = "rate_buckets"

    owner_id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    tokens: Mapped[float]
    filled_at: Mapped[float]  # when there were that many


class RequestCount(Base):
    """How many requests a key made in a month."""

    __tablename__ = "request_counts"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)  # YYYY-MM, of UTC
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    requests: Mapped[int]


class AuditLine(Base):
    """One change: who made it to what, when, from where. Written with the change, never changed."""

    __tablename__ = "audit_lines"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))  # whose thing was changed
    key_id: Mapped[str | None]  # NULL is the operator at the command line
    action: Mapped[str]
    object_id: Mapped[str]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    details: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]


class File(Base):
    """A file a user uploaded, or one a job made (`purpose` `fine-tune-results`, `job_id` set)."""

    __tablename__ = "files"
    __table_args__ = (
        _one_of("status", ("uploaded", "processed", "error")),
        ForeignKeyConstraint(
            ["project_id", "dataset_version"],
            ["dataset_versions.project_id", "dataset_versions.id"],
        ),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "job_id", "project_id"),
        _partial(
            "ix_files_of_datasets", "dataset_version IS NOT NULL", "project_id", "dataset_version"
        ),
        _partial(
            "ix_files_deleted",
            "deleted_at IS NOT NULL AND purged_at IS NULL",
            *("project_id", "deleted_at"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    status: Mapped[str]
    status_details: Mapped[str | None]
    bytes: Mapped[int]
    sha256: Mapped[str]
    object_key: Mapped[str] = mapped_column(index=True)
    dataset_version: Mapped[str | None]
    structure: Mapped[dict[str, Any] | None]  # splits and classes, as read from the archive's names
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    key_id: Mapped[str | None]  # of the key that made it or its job; NULL where that was not noted
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when it came to name its object no more


class Upload(Base):
    """A file on its way in, in parts. When it has ended, the sweeper deletes the parts' objects."""

    __tablename__ = "uploads"
    __table_args__ = (
        _one_of("status", UPLOAD_STATUSES),
        CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(status = 'completed') = (file_id IS NOT NULL)", name="file"),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "purged_at", "ended_at"),  # what the sweeper looks for
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    mime_type: Mapped[str]
    bytes: Mapped[int]  # as declared: the parts must hold exactly as many
    status: Mapped[str]
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))
    completing_until: Mapped[float | None]  # an API process puts the parts together until then
    signed_until: Mapped[float | None]  # clients may write parts into the store until then
    created_at: Mapped[float]
    expires_at: Mapped[float]
    ended_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when the sweeper deleted the parts' objects


class UploadPart(Base):
    """Bytes of an upload. One sent twice is one: `slot` is its number, or else its digest."""

    __tablename__ = "upload_parts"
    __table_args__ = (UniqueConstraint("upload_id", "slot"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    slot: Mapped[str]
    number: Mapped[int | None]
    bytes: Mapped[int]
    sha256: Mapped[str]
    object_key: Mapped[str]
    created_at: Mapped[float]


class DatasetVersion(Base):
    """One archive's content, immutable. Its id is the content's digest, the same in any project."""

    __tablename__ = "dataset_versions"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    archive_key: Mapped[str]
    archive_size: Mapped[int]
    archive_sha256: Mapped[str]
    structure: Mapped[dict[str, Any]]
    index_key: Mapped[str]  # where the checked index is, or will be written
    summary: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]
    checked_at: Mapped[float | None]  # when every image had been read; None until then
    purged_at: Mapped[float | None]  # no file holds it; revived when the same content comes again


class Model(Base):
    """A stored model. A base has no project: the operator registered it for everybody."""

    __tablename__ = "models"
    __table_args__ = (
        _one_of("kind", ("base", "fine_tuned", "checkpoint")),
        CheckConstraint("(kind = 'base') = (project_id IS NULL)", name="owner"),
        Index(None, "project_id", "created_at", "id"),
        _partial(
            "ix_models_deleted",
            "deleted_at IS NOT NULL AND purged_at IS NULL",
            *("project_id", "deleted_at"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str]
    object_key: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    members: Mapped[dict[str, Any]]  # file name to [offset, size] in the tar
    info: Mapped[dict[str, Any]]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    seed: Mapped[int | None]
    step: Mapped[int | None]
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]
    purged_at: Mapped[float | None]  # when it came to name its object no more


class Job(Base):
    """A fine-tuning job: what was asked, where it stands, and who holds it."""

    __tablename__ = "jobs"
    __table_args__ = (
        _one_of("status", STATUSES),
        _one_of("phase", PHASES),
        _one_of("status_reason", STATUS_REASONS),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease"),
        Index(None, "project_id", "created_at", "id"),
        Index(None, "lease_expires_at"),  # what the sweeper looks for
        _partial("ix_jobs_without_metadata", "metadata IS NULL", "project_id", "created_at", "id"),
        # These are as small as what is going on, however much has ended. None begins with the
        # status: PostgreSQL takes these conditions for independent, and would rather sort the few
        # rows it expects than walk along the queue.
        _partial(
            "ix_jobs_waiting",  # the order of claims
            "finished_at IS NULL AND lease_token IS NULL",
            *("project_id", "rank", "created_at", "id"),
        ),
        _partial("ix_jobs_held", "lease_token IS NOT NULL", "project_id"),
        _partial(
            "ix_jobs_asking",
            "requires IS NOT NULL AND finished_at IS NULL AND lease_token IS NULL",
            "requires",
        ),
        _partial("ix_jobs_open", "finished_at IS NULL", "project_id"),  # for limits
        _partial("ix_jobs_failed", "status = 'failed'", "project_id", "finished_at"),
        _partial(  # for the sweeper
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

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
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
        _one_of("level", ("info", "warn", "error")),
        _one_of("type", ("message", "metrics")),
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

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
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
        _one_of("status", COMPARISON_STATUSES),
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


class IdempotentRequest(Base):
    """A POST that makes something, so that a repetition of it is known and gets its answer."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (
        _one_of("status", ("running", "answered", "failed")),
        UniqueConstraint("key_id", "idempotency_key"),
        Index(None, "key_id", "fingerprint", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    idempotency_key: Mapped[str | None]  # as the client sent it, if it did
    fingerprint: Mapped[str]  # of the route and the parsed fields, never of the raw body
    status: Mapped[str]
    token: Mapped[str]  # of whoever carries it out; only they may answer
    gives_up_at: Mapped[float]  # after this another try may take over what is still running
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[float] = mapped_column(index=True)  # of the newest try that began it


class WebhookEndpoint(Base):
    """A URL that wants to hear of a project's events. One sender at a time holds it."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        _one_of("status", ("enabled", "disabled")),
        Index(None, "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(JSON())
    description: Mapped[str | None]
    secret: Mapped[str]  # needed to sign, so it is kept as it is
    previous_secret: Mapped[str | None]  # signs as well, until
    previous_secret_until: Mapped[float | None]
    status: Mapped[str]
    disabled_reason: Mapped[str | None]
    lease_token: Mapped[str | None]
    lease_until: Mapped[float]  # 0 when nobody sends
    served_at: Mapped[float]  # who waits longest is served first
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]


class WebhookDelivery(Base):
    """An event on its way to an endpoint: written in the transaction that ends what it tells of."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        _one_of("status", ("pending", "delivered", "failed", "dropped")),
        Index(None, "endpoint_id", "created_at", "id"),
        Index(None, "status", "due_at"),  # what the deliverer looks for
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[str]  # the webhook-id, the same in every attempt and for every endpoint
    event_type: Mapped[str]
    object_id: Mapped[str]
    status: Mapped[str]
    attempts: Mapped[int]  # of this round: a redelivery begins anew
    due_at: Mapped[float]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]


class WebhookAttempt(Base):
    """One try of a delivery, kept for the endpoint's owner to read."""

    __tablename__ = "webhook_attempts"

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_deliveries.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    at: Mapped[float]
    seconds: Mapped[float]
    status_code: Mapped[int | None]
    error: Mapped[str | None]


class DoomedObject(Base):
    """An object, or all under a prefix, that is being deleted, or was lately: no row may come to
    name it by what was seen of the store before."""

    __tablename__ = "doomed_objects"

    object_key: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    doomed_at: Mapped[float]
    lifted_at: Mapped[float | None]  # when it was gone


class Worker(Base):
    """A worker that runs, or did: it says so as often as it renews its leases."""

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(primary_key=True)  # worker.identity
    boot_id: Mapped[str]
    slots: Mapped[int]
    labels: Mapped[str]  # core.jobs.labels.parse_labels
    started_at: Mapped[float]
    seen_at: Mapped[float] = mapped_column(index=True)


class OutboxRow(Base):
    """A doorbell that must ring: written with the job, deleted when a worker claims the job."""

    __tablename__ = "outbox"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    due_at: Mapped[float] = mapped_column(index=True)  # ring (again) after this
    rings: Mapped[int]
    created_at: Mapped[float]
