"""Who asks, what they may use, and what they did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.tables.base import Base, one_of


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
    """A digest that opens a key: one, for a while after a rotation the one before it too, and
    while they last those of sessions.

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


class IdempotentRequest(Base):
    """A POST that makes something, so that a repetition of it is known and gets its answer."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (
        one_of("status", ("running", "answered", "failed")),
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
