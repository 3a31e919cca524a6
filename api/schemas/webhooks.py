"""Webhook endpoints and what was sent to them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.outgoing.rules import MAX_URL
from core.records.tables import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from core.records.webhooks import EVENT_TYPES

EventType = Literal[
    "fine_tuning.job.succeeded",
    "fine_tuning.job.failed",
    "fine_tuning.job.cancelled",
    "comparison.succeeded",
    "comparison.failed",
    "comparison.cancelled",
]
assert get_args(EventType) == EVENT_TYPES

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_URL),
    Field(json_schema_extra={"pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[!-\[\]-~]+$"}),
]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES))]
Description = Annotated[str, StringConstraints(max_length=512)]


class WebhookRequest(BaseModel):
    """Body of `POST /v1/webhooks`."""

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="https, to a public host. What is answered is never read.")
    event_types: EventTypes = Field(
        default_factory=lambda: list(get_args(EventType)), description="Default: all there are."
    )
    description: Description | None = None


class WebhookChange(BaseModel):
    """Body of `PATCH /v1/webhooks/{id}`: what is to be another."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    status: Literal["enabled", "disabled"] | None = None


class WebhookObject(BaseModel):
    """One endpoint."""

    id: str
    object: Literal["webhook"] = "webhook"
    created_at: int
    url: str
    event_types: list[str]
    description: str | None
    status: str = Field(description="enabled or disabled.")
    disabled_reason: str | None
    previous_secret_until: int | None = Field(
        description="Until when the secret before the last rotation signs as well."
    )


class WebhookWithSecret(WebhookObject):
    """One endpoint with its secret, which is not shown again."""

    secret: str


class WebhookDeleted(BaseModel):
    """What was deleted."""

    id: str
    object: Literal["webhook"] = "webhook"
    deleted: Literal[True] = True


class AttemptObject(BaseModel):
    """One try to send."""

    at: float = Field(description="Seconds since 1970.")
    seconds: float = Field(description="That it took.")
    status_code: int | None
    error: str | None = Field(description="Why it was not answered, or not accepted.")


class DeliveryObject(BaseModel):
    """One message to one endpoint."""

    id: str
    object: Literal["webhook.delivery"] = "webhook.delivery"
    created_at: int
    event_id: str = Field(description="The header webhook-id, the same in every attempt.")
    event_type: str
    object_id: str = Field(description="Id of the job or comparison that ended.")
    status: str = Field(description="pending, delivered, failed, or dropped unsent.")
    next_attempt_at: int | None
    attempts: list[AttemptObject]


def webhook_object(row: WebhookEndpoint) -> WebhookObject:
    """An endpoint's row on the wire."""
    until = row.previous_secret_until
    return WebhookObject(
        id=row.id,
        created_at=int(row.created_at),
        url=row.url,
        event_types=row.event_types,
        description=row.description,
        status=row.status,
        disabled_reason=row.disabled_reason,
        previous_secret_until=None if until is None else int(until),
    )


def webhook_with_secret(row: WebhookEndpoint) -> WebhookWithSecret:
    """An endpoint's row with its secret, for the one answer that shows it."""
    return WebhookWithSecret(**webhook_object(row).model_dump(), secret=row.secret)


def delivery_object(row: WebhookDelivery, attempts: list[WebhookAttempt]) -> DeliveryObject:
    """A delivery's row and its attempts on the wire."""
    return DeliveryObject(
        id=row.id,
        created_at=int(row.created_at),
        event_id=row.event_id,
        event_type=row.event_type,
        object_id=row.object_id,
        status=row.status,
        next_attempt_at=int(row.due_at) if row.status == "pending" else None,
        attempts=[
            AttemptObject(
                at=attempt.at,
                seconds=attempt.seconds,
                status_code=attempt.status_code,
                error=attempt.error,
            )
            for attempt in attempts
        ],
    )
