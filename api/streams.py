"""Answers that last as long as there is something to say, to clients that may stop listening."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

SEND_SECONDS = 60.0  # for a client to take what it was sent, before it is dropped
HEADERS = {
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold it back until its buffer is full
}


class LiveStream(Response):
    """Sends what `pieces` yields until it ends, or the client has gone or stopped reading."""

    def __init__(self, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(headers={**HEADERS, **(headers or {})}, media_type=media_type)
        del self.headers["content-length"]

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """The answer's body, as it comes. Nothing is asked of it before the last was sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_disconnect(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ClientDisconnect
            sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await _within(send, start)
        async for data in self.pieces():
            await _within(send, {"type": "http.response.body", "body": data, "more_body": True})
        await _within(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happens within that time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _within(send: Send, message: Message) -> None:
    """Raises ClientDisconnect when the client does not take it in time."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)
    except TimeoutError as error:
        raise ClientDisconnect from error


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
