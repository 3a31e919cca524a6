"""One POST to a target: to an address that was checked, within a time, for a status and no more."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import h11
import httpx

from core.outgoing.resolver import Lookup, resolve
from core.outgoing.rules import Rules, Target

TIMEOUT = 15.0  # seconds for everything: names, connection, TLS, request, first line of the answer
_MAX_HEAD = 32 * 1024  # bytes of an answer's status and headers
_READ_BYTES = 4096


class Failed(Exception):
    """The request was not answered; `str()` says why, for the owner of the URL."""


def post(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    rules: Rules,
    *,
    timeout: float = TIMEOUT,
    lookup: Lookup | None = None,
) -> int:
    """The status of the answer. Its body is never read: nobody here wants it, and it could be
    somebody else's secret. Raises Failed, and Refused for where this service does not go."""
    deadline = time.monotonic() + timeout
    addresses = resolve(target, rules, timeout, lookup)
    try:
        with _connect(target, addresses, deadline) as connection:
            return _exchange(target, connection, body, headers, deadline)
    except TimeoutError as error:
        raise Failed(f"No answer within {timeout:g} s.") from error
    except (OSError, h11.ProtocolError) as error:  # TLS faults are OSErrors
        raise Failed(f"The connection failed: {_cause(error)}.") from error


def _connect(target: Target, addresses: list[str], deadline: float) -> socket.socket:
    """To the first address that answers. The name is used for TLS alone and never looked up
    again: between a check and a second look-up it could have come to mean another machine."""
    fault: OSError | None = None
    for place, address in enumerate(addresses):
        share = _left(deadline) / (len(addresses) - place)
        try:
            plain = socket.create_connection((address, target.port), share)
        except OSError as error:
            fault = error
            continue
        if target.scheme == "http":
            return plain
        try:
            plain.settimeout(_left(deadline))  # of the whole handshake
            return httpx.create_ssl_context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
    assert fault is not None  # there is at least one address
    raise fault


def _exchange(
    target: Target,
    connection: socket.socket,
    body: bytes,
    headers: Mapping[str, str],
    deadline: float,
) -> int:
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    fields = {
        "host": target.authority,
        "content-length": str(len(body)),
        "connection": "close",
        **headers,
    }
    request = h11.Request(method="POST", target=target.path, headers=list(fields.items()))
    events = (request, h11.Data(data=body), h11.EndOfMessage())
    connection.settimeout(_left(deadline))
    connection.sendall(b"".join(protocol.send(event) or b"" for event in events))
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            connection.settimeout(_left(deadline))
            protocol.receive_data(connection.recv(_READ_BYTES))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise Failed("The connection was closed without an answer.")


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _cause(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).split("\n", 1)[0][:200].rstrip(".")
