"""Messages to webhook endpoints: rows decide, whoever sends may die anywhere.

`emit` writes a delivery for each endpoint in the transaction that ends a job, so there is one
exactly when the job has ended. A sender holds an *endpoint* for a moment, with a token: one
message at a time goes to each, and who does not answer keeps nobody else waiting. A sender that
dies leaves the delivery as it was; when its hold has run out the same message goes out again,
under the same id. That is "at least once".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.records.clean import clean_text
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import WebhookAttempt, WebhookDelivery, WebhookEndpoint

SCHEDULE = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds before each attempt, after the one before it: the Standard Webhooks specification's."""
HOLD_SECONDS = 60.0  # that a sender may take for one message, with all that may delay it
KEEP_SECONDS = 30 * 86_400.0  # that a delivery is kept after its end
GONE = 410  # the status by which a receiver says that it wants no more
_FORGET_LIMIT = 500
_DUE = (WebhookDelivery.status == "pending", WebhookDelivery.due_at <= now())


@dataclass(frozen=True)
class Held:
    """A message to send now, and the endpoint that is held for it."""

    token: str
    endpoint: WebhookEndpoint
    delivery: WebhookDelivery


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt: a status, or why there is none."""

    seconds: float
    status_code: int | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Anything but 2xx is a failure, redirects too."""
        return self.status_code is not None and 200 <= self.status_code < 300


def emit(session: Session, project_id: str, event_type: str, object_id: str) -> None:
    """Something has ended: a delivery for each of the project's endpoints that wants to know."""
    enabled = select(WebhookEndpoint).where(
        WebhookEndpoint.project_id == project_id,
        WebhookEndpoint.deleted_at.is_(None),
        WebhookEndpoint.status == "enabled",
    )
    event_id = new_id("evt")
    rows = [
        {
            "id": new_id("whd"),
            "project_id": project_id,
            "endpoint_id": endpoint.id,
            "event_id": event_id,
            "event_type": event_type,
            "object_id": object_id,
            "status": "pending",
            "attempts": 0,
        }
        for endpoint in every(session, enabled, WebhookEndpoint)
        if event_type in endpoint.event_types
    ]
    if rows:
        session.execute(insert(WebhookDelivery).values(created_at=now(), due_at=now()), rows)


def list_deliveries(
    session: Session,
    endpoint: WebhookEndpoint,
    *,
    after: str | None,
    order: Order,
    limit: int,
) -> Page[WebhookDelivery]:
    """One page of what went, or is to go, to an endpoint."""
    owned = WebhookDelivery.endpoint_id == endpoint.id
    return paginate(session, WebhookDelivery, owned, after=after, order=order, limit=limit)


def attempts_of(
    session: Session, deliveries: Iterable[WebhookDelivery]
) -> dict[str, list[WebhookAttempt]]:
    """Every attempt of each delivery, oldest first."""
    found: dict[str, list[WebhookAttempt]] = {row.id: [] for row in deliveries}
    mine = select(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(found))
    for row in every(session, mine.order_by(WebhookAttempt.id), WebhookAttempt):
        found[row.delivery_id].append(row)
    return found


def redeliver(session: Session, endpoint: WebhookEndpoint, delivery_id: str) -> WebhookDelivery:
    """Sends it now, whatever came of it, with the whole schedule before it. Same message id."""
    if endpoint.status == "disabled":
        raise Conflict(
            f"Webhook {endpoint.id} is disabled ({endpoint.disabled_reason}); enable it first.",
            code="webhook_disabled",
        )
    row = first(
        session,
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.id == delivery_id)
        .values(status="pending", attempts=0, due_at=now(), finished_at=None)
        .returning(WebhookDelivery),
        WebhookDelivery,
    )
    if row is None:
        raise NotFound(
            f"There is no delivery {delivery_id!r} to webhook {endpoint.id}.", param="delivery_id"
        )
    return row


def drop_pending(session: Session, endpoint_id: str) -> None:
    """What has not gone to the endpoint will not."""
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == "pending")
        .values(status="dropped", finished_at=now()),
        execution_options={"synchronize_session": False},
    )


def is_due(session: Session) -> bool:
    """Whether `hold_due` is worth a transaction that writes."""
    return session.execute(select(WebhookDelivery.id).where(*_DUE).limit(1)).first() is not None


def hold_due(session: Session, most: int) -> list[Held]:
    """Messages to send now, each to another endpoint; who was served longest ago comes first."""
    due = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, *_DUE)
        .exists()
    )
    waiting = (
        select(WebhookEndpoint)
        .where(
            WebhookEndpoint.status == "enabled",
            WebhookEndpoint.deleted_at.is_(None),
            WebhookEndpoint.lease_until < now(),
            due,
        )
        .order_by(WebhookEndpoint.served_at, WebhookEndpoint.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    held = []
    for endpoint in every(session, waiting, WebhookEndpoint):
        token = secrets.token_hex(16)
        _update(
            session,
            endpoint.id,
            lease_token=token,
            lease_until=now() + HOLD_SECONDS,
            served_at=now(),
        )
        oldest = (
            select(WebhookDelivery)
            .where(WebhookDelivery.endpoint_id == endpoint.id, *_DUE)
            .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
            .limit(1)
        )
        delivery = first(session, oldest, WebhookDelivery)
        assert delivery is not None
        held.append(Held(token, endpoint, delivery))
    return held


def record(session: Session, held: Held, outcome: Outcome) -> None:
    """Notes the attempt and lets go of the endpoint. Nothing when somebody else holds it now."""
    released = session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == held.endpoint.id, WebhookEndpoint.lease_token == held.token)
        .values(lease_token=None, lease_until=0.0)
        .returning(WebhookEndpoint.id),
        execution_options={"synchronize_session": False},
    ).first()
    if released is None:
        return
    session.execute(
        insert(WebhookAttempt).values(
            delivery_id=held.delivery.id,
            project_id=held.delivery.project_id,
            at=now(),
            seconds=outcome.seconds,
            status_code=outcome.status_code,
            error=None if outcome.error is None else clean_text(outcome.error),
        )
    )
    _settle(session, held, outcome)
    if outcome.status_code == GONE:
        drop_pending(session, held.endpoint.id)
        reason = "the receiver answered 410 Gone"
        _update(session, held.endpoint.id, status="disabled", disabled_reason=reason)


def forget(session: Session) -> int:
    """Deletes deliveries that ended long ago, some of them at a time; how many."""
    old = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.status != "pending",
            WebhookDelivery.finished_at < now() - KEEP_SECONDS,
        )
        .limit(_FORGET_LIMIT)
    )
    ids = list(session.execute(old).scalars())
    if ids:
        plain = {"synchronize_session": False}
        mine = WebhookAttempt.delivery_id.in_(ids)
        session.execute(delete(WebhookAttempt).where(mine), execution_options=plain)
        gone = delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids))
        session.execute(gone, execution_options=plain)
    return len(ids)


def _settle(session: Session, held: Held, outcome: Outcome) -> None:
    """Unless it was dropped or asked for again meanwhile: then that stands."""
    attempts = held.delivery.attempts + 1
    values: dict[str, Any] = {"attempts": attempts}
    if outcome.is_delivered:
        values |= {"status": "delivered", "finished_at": now()}
    elif attempts >= len(SCHEDULE) or outcome.status_code == GONE:
        values |= {"status": "failed", "finished_at": now()}
    else:
        values["due_at"] = now() + SCHEDULE[attempts]
    session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == held.delivery.id,
            WebhookDelivery.status == "pending",
            WebhookDelivery.due_at == held.delivery.due_at,
        )
        .values(**values),
        execution_options={"synchronize_session": False},
    )


def _update(session: Session, endpoint_id: str, **values: Any) -> None:
    session.execute(
        update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values),
        execution_options={"synchronize_session": False},
    )
