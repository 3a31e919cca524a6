"""Answers that a client may have already (RFC 9110, section 13): `ETag` and `If-None-Match`.

Downloads name their content by its stored digest and never come here. JSON answers are small and
made anew each time: their tag is the digest of what they say, so whoever polls an object that has
not changed is told 304 and no more.
"""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MADE_FOR_ONE = "private, no-cache"  # may be kept by the client, and is asked for each time


class Conditional:
    """Pure ASGI: tags every JSON answer to a GET. Answers in several pieces pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return await self._app(scope, receive, send)
        wanted = Headers(scope=scope).get("if-none-match")
        held: Message | None = None  # the beginning of an answer whose body is not known yet

        async def send_tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_plain(message):
                held = message
                return
            if held is not None and message["type"] == "http.response.body":
                start, held = held, None
                if not message.get("more_body", False):
                    start, message = _tagged(start, message, wanted)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_tagged)


def matches(header: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names the tag. Weak comparison, as 13.1.2 has it."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",", 100)]
    return "*" in tags or etag in tags


def _is_plain(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    is_json = headers.get("content-type", "").startswith("application/json")
    return message["status"] == 200 and is_json and "etag" not in headers


def _tagged(start: Message, body: Message, wanted: str | None) -> tuple[Message, Message]:
    etag = f'"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["etag"] = etag
    headers["cache-control"] = _MADE_FOR_ONE
    if not matches(wanted, etag):
        return {**start, "headers": headers.raw}, body
    del headers["content-length"]
    del headers["content-type"]
    return {**start, "status": 304, "headers": headers.raw}, {**body, "body": b""}
