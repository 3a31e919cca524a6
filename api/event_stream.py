"""A job's events as a stream: Server-Sent Events, as the HTML standard has them (section 9.2).

`id` is the event's sequence, so a client that was cut off says with `Last-Event-ID` where to go
on. After the last event of a job that has ended comes `event: done`, and the stream ends; a
client that has seen it and connects again all the same is told 204, which means "no more".

Who asks for step metrics finds them in between as `event: metrics`, without an `id`: they have a
place of their own (seed and step), and may come again after a connection was cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import Response

from api.events import Channel, Feed
from api.schemas.jobs import event_object
from api.schemas.metrics import step_object
from api.streams import LiveStream, happens
from core.records.metrics import Measured, Place
from core.records.tables import Job, JobEvent

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0  # of silence before a comment; proxies mostly give up after 60
LAST_ID = "done"
# Neither ends with an empty line: to the standard that would be an event without data and nothing,
# but OpenAI's SDK reads it as one and fails.
_BEGINNING = b"retry: 2000\n"  # milliseconds before a browser connects again
_HEARTBEAT = b": still here\n"


def wants_stream(request: Request, stream: bool) -> bool:
    """Whether the client asked for a stream, by `?stream=true` or as browsers do."""
    kinds = request.headers.get("accept", "").split(",")
    return stream or any(kind.split(";")[0].strip().lower() == MEDIA_TYPE for kind in kinds)


def event_stream(
    feed: Feed, job: Job, key_id: str, after: int | None, metrics_after: Place | None = None
) -> Response:
    """The job's events after that sequence, then those to come; step metrics after that place, if
    there is one. None for `after`: the client has seen all."""
    if after is None:
        return Response(status_code=204)
    return _Stream(feed, job, key_id, after, metrics_after)


def encode(event: JobEvent) -> bytes:
    """An event as it is sent. JSON has no line breaks, so `data` is one line."""
    body = event_object(event).model_dump_json()
    kind = re.sub(r"[^a-z_.]", "_", event.type)
    return f"id: {event.sequence}\nevent: {kind}\ndata: {body}\n\n".encode()


def encode_step(measured: Measured) -> bytes:
    """Step metrics as they are sent."""
    return f"event: metrics\ndata: {step_object(measured).model_dump_json()}\n\n".encode()


class _Stream(LiveStream):
    """Until the job has ended, or this process stops."""

    def __init__(
        self, feed: Feed, job: Job, key_id: str, after: int, metrics_after: Place | None
    ) -> None:
        super().__init__(MEDIA_TYPE)
        self._feed = feed
        self._job = job
        self._key_id = key_id
        self._after = after
        self._metrics_after = metrics_after

    async def pieces(self) -> AsyncIterator[bytes]:
        measured = self._metrics_after
        with self._feed.watch(self._job, self._key_id, metrics=measured is not None) as watch:
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
                elif measured and channel.metrics_end and measured < channel.metrics_end:
                    measured, data = await self._feed.read_metrics(channel, measured)
                    yield data
                elif channel.has_ended and (measured is None or channel.metrics_are_whole):
                    yield _done(channel)
                    return
                elif not await happens(changed, HEARTBEAT_SECONDS):
                    yield _HEARTBEAT


def _done(channel: Channel) -> bytes:
    body = json.dumps({"fine_tuning_job_id": channel.job_id, "status": channel.status})
    return f"id: {LAST_ID}\nevent: done\ndata: {body}\n\n".encode()
