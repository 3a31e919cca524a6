"""Webhooks: who is told when jobs and comparisons end, and what became of the telling."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.auth import Authenticated, needs
from api.bodies import described, json_body
from api.errors import documented
from api.idempotency import once
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.schemas.webhooks import (
    DeliveryObject,
    WebhookChange,
    WebhookDeleted,
    WebhookObject,
    WebhookRequest,
    WebhookWithSecret,
    delivery_object,
    webhook_object,
    webhook_with_secret,
)
from api.services import InServices, Services
from core.outgoing.post import TIMEOUT
from core.outgoing.resolver import resolve
from core.outgoing.rules import Refused, parse_target
from core.records import audit, deliveries, webhooks
from core.webhooks.signing import new_secret

router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[needs("webhooks")])


@router.post("", openapi_extra=described(WebhookRequest), responses=documented(409, 413))
def create_webhook(
    request: Request,
    body: Annotated[WebhookRequest, Depends(json_body(WebhookRequest))],
    principal: Authenticated,
    services: InServices,
) -> WebhookWithSecret:
    """A new endpoint. Its secret is shown here and never again; messages are signed with it by
    the Standard Webhooks specification."""
    with once(request, services, principal, body.model_dump(mode="json")) as doing:
        _check_url(services, body.url)
        with services.database.write() as session:
            row = webhooks.create(
                session,
                principal.project_id,
                url=body.url,
                event_types=body.event_types,
                description=body.description,
                secret=new_secret(),
            )
            audit.note(session, principal.actor, "webhook.create", row.id)
            answer = webhook_with_secret(row)
            doing.answer(session, answer)
    return answer


@router.get("")
def list_webhooks(
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[WebhookObject]:
    """One page of the project's endpoints."""
    with services.database.read() as session:
        page = webhooks.list_endpoints(
            session, principal.project_id, after=after, order=order, limit=limit
        )
    return list_of([webhook_object(row) for row in page.items], page.has_more)


@router.get("/{webhook_id}")
def retrieve_webhook(
    webhook_id: str, principal: Authenticated, services: InServices
) -> WebhookObject:
    """One endpoint."""
    with services.database.read() as session:
        return webhook_object(webhooks.get(session, principal.project_id, webhook_id))


@router.patch("/{webhook_id}", openapi_extra=described(WebhookChange), responses=documented(413))
def change_webhook(
    webhook_id: str,
    body: Annotated[WebhookChange, Depends(json_body(WebhookChange))],
    principal: Authenticated,
    services: InServices,
) -> WebhookObject:
    """Changes what is given. A disabled endpoint hears nothing, and what waited is dropped."""
    values = body.model_dump(exclude_none=True)
    if "description" in body.model_fields_set:
        values["description"] = body.description
    if body.url is not None:
        _check_url(services, body.url)
    with services.database.write() as session:
        row = webhooks.change(session, principal.project_id, webhook_id, **values)
        audit.note(session, principal.actor, "webhook.change", webhook_id)
    return webhook_object(row)


@router.delete("/{webhook_id}")
def delete_webhook(
    webhook_id: str, principal: Authenticated, services: InServices
) -> WebhookDeleted:
    """The endpoint hears nothing any more."""
    with services.database.write() as session:
        webhooks.remove(session, principal.project_id, webhook_id)
        audit.note(session, principal.actor, "webhook.delete", webhook_id)
    return WebhookDeleted(id=webhook_id)


@router.post("/{webhook_id}/rotate_secret", responses=documented(409))
def rotate_secret(
    webhook_id: str, request: Request, principal: Authenticated, services: InServices
) -> WebhookWithSecret:
    """A new secret, shown once. For a day messages carry signatures with both, so that receivers
    can change over without missing one."""
    with once(request, services, principal, {}) as doing, services.database.write() as session:
        row = webhooks.rotate(session, principal.project_id, webhook_id, new_secret())
        audit.note(session, principal.actor, "webhook.rotate", webhook_id)
        answer = webhook_with_secret(row)
        doing.answer(session, answer)
    return answer


@router.get("/{webhook_id}/deliveries")
def list_deliveries(
    webhook_id: str,
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[DeliveryObject]:
    """One page of what went, or is to go, to the endpoint, with every attempt. Kept for 30 days."""
    with services.database.read() as session:
        endpoint = webhooks.get(session, principal.project_id, webhook_id)
        page = deliveries.list_deliveries(session, endpoint, after=after, order=order, limit=limit)
        attempts = deliveries.attempts_of(session, page.items)
    return list_of([delivery_object(row, attempts[row.id]) for row in page.items], page.has_more)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", responses=documented(409))
def redeliver(
    webhook_id: str,
    delivery_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
) -> DeliveryObject:
    """Sends it again, with the same `webhook-id` and the whole schedule of retries."""
    with once(request, services, principal, {}) as doing, services.database.write() as session:
        endpoint = webhooks.get(session, principal.project_id, webhook_id)
        row = deliveries.redeliver(session, endpoint, delivery_id)
        audit.note(session, principal.actor, "webhook.redeliver", delivery_id)
        answer = delivery_object(row, deliveries.attempts_of(session, [row])[row.id])
        doing.answer(session, answer)
    return answer


def _check_url(services: Services, url: str) -> None:
    """As far as it can be known now; it is judged again with every message."""
    target = parse_target(url, services.outgoing, param="url")
    try:
        resolve(target, services.outgoing, TIMEOUT)
    except Refused as error:
        error.param = "url"
        raise
