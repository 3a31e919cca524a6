"""One attempt to tell an endpoint of an event."""

from __future__ import annotations

import json
import time

from core.errors import InvalidRequest
from core.outgoing.post import TIMEOUT, Failed, post
from core.outgoing.resolver import Lookup
from core.outgoing.rules import Rules, parse_target
from core.records.deliveries import Held, Outcome
from core.records.tables import WebhookDelivery, WebhookEndpoint
from core.webhooks.signing import signatures


def send(
    held: Held, rules: Rules, *, timeout: float = TIMEOUT, lookup: Lookup | None = None
) -> Outcome:
    """Sends the message. Whatever goes wrong is an outcome; the URL is judged each time anew."""
    began = time.monotonic()
    body = message(held.delivery)
    status, error = None, None
    try:
        target = parse_target(held.endpoint.url, rules)
        headers = _headers(held, body)
        status = post(target, body, headers, rules, timeout=timeout, lookup=lookup)
    except InvalidRequest as fault:
        error = fault.message
    except Failed as fault:
        error = str(fault)
    if status is not None and 300 <= status < 400:
        error = f"It answered {status}; redirects are not followed."
    return Outcome(round(time.monotonic() - began, 3), status, error)


def message(delivery: WebhookDelivery) -> bytes:
    """OpenAI's thin payload: what ended is named, and read from the API by who may read it."""
    content = {
        "id": delivery.event_id,
        "type": delivery.event_type,
        "created_at": int(delivery.created_at),
        "data": {"id": delivery.object_id},
    }
    return json.dumps(content, separators=(",", ":")).encode()


def _headers(held: Held, body: bytes) -> dict[str, str]:
    timestamp = int(time.time())
    message_id = held.delivery.event_id
    return {
        "content-type": "application/json",
        "user-agent": "lipsum-webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(_keys(held.endpoint), message_id, timestamp, body),
    }


def _keys(endpoint: WebhookEndpoint) -> list[str]:
    until = endpoint.previous_secret_until
    if endpoint.previous_secret is None or until is None or until < time.time():
        return [endpoint.secret]
    return [endpoint.secret, endpoint.previous_secret]
