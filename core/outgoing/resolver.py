"""A target's name as addresses, all of which were judged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address

from core.outgoing.rules import Rules, Target, literal_address, not_public

Lookup = Callable[[str, int], list[str]]  # a host's addresses; raises OSError


def resolve(
    target: Target, rules: Rules, timeout: float, lookup: Lookup | None = None
) -> list[str]:
    """Every address of the target's host, in the resolver's order.

    Raises Refused when one of them may not be gone to, when there is none, and when the resolver
    fails or takes longer than `timeout` seconds: what is not known to be public is not public.
    """
    literal = literal_address(target.host)
    if literal is not None:
        found = [literal]
    else:
        found = _within(timeout, lambda: (lookup or system_lookup)(target.host, target.port))
    try:
        allowed = [rules.allows(target.host, address) for address in found]
    except ValueError:  # an address with a zone, or none at all
        raise not_public() from None
    if not found or not all(allowed):
        raise not_public()
    return [str(ip_address(address)) for address in found]


def system_lookup(host: str, port: int) -> list[str]:
    """What this machine's resolver says."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _within(timeout: float, find: Callable[[], list[str]]) -> list[str]:
    """`getaddrinfo` cannot be given a time: it is left behind in a thread of its own."""
    found: list[list[str]] = []

    def run() -> None:
        try:
            found.append(find())
        except (OSError, UnicodeError):
            found.append([])

    thread = threading.Thread(target=run, daemon=True, name="resolver")
    thread.start()
    thread.join(timeout)
    return found[0] if found else []
