"""Signatures, held to the specification's own Python package."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.webhooks.signing import new_secret, signatures


def test_signatures_are_the_official_packages() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    ours = signatures([secret], "evt-1", int(now.timestamp()), b'{"a": 1}')
    assert ours == Webhook(secret).sign("evt-1", now, '{"a": 1}')


def test_each_of_two_secrets_is_enough() -> None:
    old, new, stamp = new_secret(), new_secret(), int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": signatures([new, old], "evt-1", stamp, b"{}"),
    }
    for secret in (old, new):
        assert Webhook(secret).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(b"{}", headers)


def test_a_secret_is_random_and_long_enough() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
