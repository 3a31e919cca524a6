"""Who could reach the service at the address it binds to, and whether it may start there."""

from __future__ import annotations

import ipaddress

from core.access.key_hash import KeyHash
from core.errors import InvalidRequest
from core.records import key_secrets, keys
from core.records.engine import Database
from core.settings import Settings


def check_start(settings: Settings) -> None:
    """Raises InvalidRequest when the API must not start: open to others while nobody has a key, or
    with another secret than the one that the keys were hashed with."""
    hashing = KeyHash.from_settings(settings)
    database = Database(settings.resolved_database_url)
    try:
        with database.read() as session:
            live = keys.count(session)
            strange = key_secrets.keyed_elsewhere(session, hashing)
    finally:
        database.close()
    if live == 0 and not is_loopback(settings.host):
        raise InvalidRequest(
            f"LIPSUM_HOST is {settings.host}, where others reach the service, and it has no API "
            "key. Make one with `lipsum keys create NAME`, or bind to 127.0.0.1.",
            code="exposed_without_keys",
        )
    if strange:
        raise InvalidRequest(
            f"{strange} API keys were hashed with another secret than {settings.key_secret_path} "
            "or LIPSUM_KEY_SECRET has. Put that secret back, or revoke those keys "
            "(`lipsum keys list`, `lipsum keys revoke ID`) and create new ones.",
            code="other_key_secret",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def exposure(settings: Settings) -> list[str]:
    """What an operator should know who lets others reach the service; nothing for loopback."""
    if is_loopback(settings.host):
        return []
    names = settings.allowed_hosts or "no name of others yet"
    return [
        f"others reach it at {settings.host}; it answers to {names} (LIPSUM_ALLOWED_HOSTS)",
        "keys are sent in the clear: put a proxy that speaks TLS in front",
    ]
