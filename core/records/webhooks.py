"""Webhook endpoints: who wants to hear of what, and the secrets that messages to them carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.records import deliveries
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import first
from core.records.tables import WebhookEndpoint

EVENT_TYPES = (
    "fine_tuning.job.succeeded",
    "fine_tuning.job.failed",
    "fine_tuning.job.cancelled",
    "comparison.succeeded",
    "comparison.failed",
    "comparison.cancelled",
)
ROTATION_SECONDS = 86_400.0  # that a secret goes on signing after it was rotated
MAX_ENDPOINTS = 16  # of a project


def create(
    session: Session,
    project_id: str,
    *,
    url: str,
    event_types: Sequence[str],
    description: str | None,
    secret: str,
) -> WebhookEndpoint:
    """A new endpoint. Conflict when the project has MAX_ENDPOINTS."""
    live = (WebhookEndpoint.project_id == project_id, WebhookEndpoint.deleted_at.is_(None))
    count = session.execute(select(func.count()).select_from(WebhookEndpoint).where(*live))
    if (found := count.scalar_one()) >= MAX_ENDPOINTS:
        raise Conflict(
            f"The project has {found} webhooks, the most there may be; delete one.",
            code="too_many_webhooks",
        )
    row = first(
        session,
        insert(WebhookEndpoint)
        .values(
            id=new_id("webhook"),
            project_id=project_id,
            url=url,
            event_types=list(event_types),
            description=description,
            secret=secret,
            status="enabled",
            lease_until=0.0,
            served_at=0.0,
            created_at=now(),
        )
        .returning(WebhookEndpoint),
        WebhookEndpoint,
    )
    assert row is not None
    return row


def get(session: Session, project_id: str, endpoint_id: str) -> WebhookEndpoint:
    """The project's endpoint. NotFound for unknown, foreign and deleted ids alike."""
    return _require(first(session, _owned(project_id, endpoint_id), WebhookEndpoint), endpoint_id)


def list_endpoints(
    session: Session, project_id: str, *, after: str | None, order: Order, limit: int
) -> Page[WebhookEndpoint]:
    """One page of the project's endpoints."""
    owned = WebhookEndpoint.project_id == project_id
    live = [WebhookEndpoint.deleted_at.is_(None)]
    return paginate(session, WebhookEndpoint, owned, live, after=after, order=order, limit=limit)


def change(session: Session, project_id: str, endpoint_id: str, **values: Any) -> WebhookEndpoint:
    """Sets url, event_types, description or status. What waits for a disabled one is dropped."""
    get(session, project_id, endpoint_id)
    if values.get("status") == "disabled":
        deliveries.drop_pending(session, endpoint_id)
        values["disabled_reason"] = "disabled by its owner"
    elif values.get("status") == "enabled":
        values["disabled_reason"] = None
    if values:
        _update(session, endpoint_id, **values)
    return get(session, project_id, endpoint_id)


def rotate(session: Session, project_id: str, endpoint_id: str, secret: str) -> WebhookEndpoint:
    """Signs with the new secret, and for ROTATION_SECONDS with the one before it too."""
    row = get(session, project_id, endpoint_id)
    _update(
        session,
        endpoint_id,
        secret=secret,
        previous_secret=row.secret,
        previous_secret_until=now() + ROTATION_SECONDS,
    )
    return get(session, project_id, endpoint_id)


def remove(session: Session, project_id: str, endpoint_id: str) -> None:
    """The endpoint hears nothing any more."""
    get(session, project_id, endpoint_id)
    deliveries.drop_pending(session, endpoint_id)
    _update(session, endpoint_id, deleted_at=now())


def _update(session: Session, endpoint_id: str, **values: Any) -> None:
    session.execute(
        update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values),
        execution_options={"synchronize_session": False},
    )


def _owned(project_id: str, endpoint_id: str) -> Select[WebhookEndpoint]:
    return select(WebhookEndpoint).where(
        WebhookEndpoint.project_id == project_id,
        WebhookEndpoint.id == endpoint_id,
        WebhookEndpoint.deleted_at.is_(None),
    )


def _require(row: WebhookEndpoint | None, endpoint_id: str) -> WebhookEndpoint:
    if row is None:
        raise NotFound(
            f"There is no webhook {endpoint_id!r}; list yours with GET /v1/webhooks.",
            param="webhook_id",
        )
    return row
