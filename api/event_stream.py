"""A job's events as a stream: Server-Sent Events, as the HTML standard has them (section 9.2).

`id` is the event's sequence, so a client that was cut off says with `Last-Event-ID` where to go
on. After the last event of a job that has ended comes `event: done`, and the stream ends; a
client that has seen it and connects again all the same is told 204, which means "no more".
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.events import Channel, Feed
from api.schemas.jobs import event_object
from core.records.tables import Job, JobEvent

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0  # of silence before a comment; proxies mostly give up after 60
SEND_SECONDS = 60.0  # for a client to take what it was sent, before it is dropped
LAST_ID = "done"
_BEGINNING = b"retry: 2000\n\n"  # milliseconds before a browser connects again
_HEARTBEAT = b": still here\n\n"
_HEADERS = {
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold events back until its buffer is full
}


def wants_stream(request: Request, stream: bool) -> bool:
    """Whether the client asked for a stream, by `?stream=true` or as browsers do."""
    kinds = request.headers.get("accept", "").split(",")
    return stream or any(kind.split(";")[0].strip().lower() == MEDIA_TYPE for kind in kinds)


def event_stream(feed: Feed, job: Job, key_id: str, after: int | None) -> Response:
    """The job's events after that sequence, then those to come. None: the client has seen all."""
    if after is None:
        return Response(status_code=204)
    return _Stream(feed, job, key_id, after)


def encode(event: JobEvent) -> bytes:
    """An event as it is sent. JSON has no line breaks, so `data` is one line."""
    body = event_object(event).model_dump_json()
    kind = re.sub(r"[^a-z_.]", "_", event.type)
    return f"id: {event.sequence}\nevent: {kind}\ndata: {body}\n\n".encode()


class _Stream(Response):
    """Sends until the job has ended, the client has gone or stopped reading, or we stop."""

    def __init__(self, feed: Feed, job: Job, key_id: str, after: int) -> None:
        super().__init__(headers=_HEADERS, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._feed = feed
        self._job = job
        self._key_id = key_id
        self._after = after

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
        async for data in self._pieces():
            await _within(send, {"type": "http.response.body", "body": data, "more_body": True})
        await _within(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        with self._feed.watch(self._job, self._key_id) as watch:
            channel, seen = watch.channel, self._after
            yield _BEGINNING
            while not watch.is_over:
                changed = channel.changed
                found = channel.after(seen)
                if found is None:
                    found = await self._feed.read(channel, seen)
                if found:
                    seen = found[-1][0]
                    yield b"".join(data for _, data in found)
                elif channel.has_ended:
                    yield _done(channel)
                    return
                elif not await _happens(changed):
                    yield _HEARTBEAT


def _done(channel: Channel) -> bytes:
    body = json.dumps({"fine_tuning_job_id": channel.job_id, "status": channel.status})
    return f"id: {LAST_ID}\nevent: done\ndata: {body}\n\n".encode()


async def _within(send: Send, message: Message) -> None:
    """Raises ClientDisconnect when the client does not take it in time."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)
    except TimeoutError as error:
        raise ClientDisconnect from error


async def _happens(event: asyncio.Event) -> bool:
    """Whether it happens before a heartbeat is due."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await event.wait()
    return event.is_set()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
