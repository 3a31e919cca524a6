"""Who is told of something, and who works."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.records.tables.base import SERIAL, Base, one_of


class WebhookEndpoint(Base):
    """A URL that wants to hear of a project's events. One sender at a time holds it."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        one_of("status", ("enabled", "disabled")),
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
        one_of("status", ("pending", "delivered", "failed", "dropped")),
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

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_deliveries.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    at: Mapped[float]
    seconds: Mapped[float]
    status_code: Mapped[int | None]
    error: Mapped[str | None]


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
