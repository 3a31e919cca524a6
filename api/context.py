"""What surrounds every request: an id, headers that hold for every answer, and the last nets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response, internal_error
from api.rates import Standing
from core.ids import new_id
from core.leaving import ClientLeft
from core.settings import MIB

DRAIN_BYTES = 64 * MIB  # read and dropped of a body that was refused unread
DRAIN_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass
class Passport:
    """What is found out about a request on its way in, for its way out."""

    request_id: str
    permitted: bool = False  # by a route that states who may use it
    standings: list[Standing] = field(default_factory=list)  # of limited keys and projects


def passport(scope: Scope) -> Passport:
    """The request's own."""
    found = scope["state"]["passport"]
    assert isinstance(found, Passport)
    return found


class RequestContext:
    """Pure ASGI, so that streamed bodies and answers pass through untouched.

    A fault that nobody foresaw is logged here with the request's id, which is all that the
    client is told of it. So is an answer of a route that asked nobody whether it may answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = new_id("req")
        carried = scope.setdefault("state", {})["passport"] = Passport(request_id)
        body = _Body(scope, receive)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                if message["status"] < 400 and not carried.permitted:
                    raise RuntimeError("an answer that no `needs(...)` or `everybody` let out")
                started = True
                _add_headers(MutableHeaders(scope=message), carried)
                if message["status"] >= 400:
                    await body.drain()
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                app = _no_such_url if _has_nul(scope) else self._app
                await app(scope, body.receive, send_with_headers)
            except (ClientDisconnect, ClientLeft):
                return  # nobody is left to answer
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if started:
                    raise  # half an answer is out: the connection must break
                await internal_error(request_id)(scope, body.receive, send_with_headers)


class _Body:
    """A request's body, and how much of it was read."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        # A client that expects our word before it sends will not send after a refusal.
        self._is_coming = has_body and "expect" not in headers
        self._receive = receive

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._is_coming = False
        return message

    async def drain(self) -> None:
        """Reads the rest of a moderate body: a client that is still sending when the connection
        closes never sees why it was refused.
        """
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._is_coming and dropped <= DRAIN_BYTES:
                    dropped += len((await self.receive()).get("body", b""))


def _has_nul(scope: Scope) -> bool:
    """No name has one, and PostgreSQL refuses to look for it."""
    return "\x00" in scope["path"] or b"%00" in scope["query_string"]


async def _no_such_url(scope: Scope, receive: Receive, send: Send) -> None:
    message = "The URL has a NUL character, and nothing is named with one."
    await error_response(404, message, "unknown_url")(scope, receive, send)


def _add_headers(headers: MutableHeaders, carried: Passport) -> None:
    headers["x-request-id"] = carried.request_id
    headers["x-content-type-options"] = "nosniff"
    headers.setdefault("cache-control", "no-store")  # answers are one project's own
    if carried.standings:
        headers.update(min(carried.standings, key=lambda each: each.remaining).headers())
