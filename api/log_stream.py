"""A job's log as it grows, and as the file that it is at this moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from starlette.requests import ClientDisconnect

from api.downloads import Stored
from api.events import Feed
from api.streams import LiveStream, happens
from core.errors import StorageFault
from core.records import job_logs
from core.records.engine import Database
from core.records.job_logs import Kept
from core.records.tables import Job

MEDIA_TYPE = "text/plain; charset=utf-8"
_LOOK_SECONDS = 60.0  # without news, before a follower looks whether it is still followed


class LogStream(LiveStream):
    """From a byte of the whole log on, until the job has ended and everything was sent."""

    def __init__(self, feed: Feed, job: Job, key_id: str, start: int) -> None:
        super().__init__(MEDIA_TYPE)
        self._feed = feed
        self._job = job
        self._key_id = key_id
        self._start = start

    async def pieces(self) -> AsyncIterator[bytes]:
        with self._feed.watch(self._job, self._key_id, log=True) as watch:
            channel, at = watch.channel, self._start
            while not watch.is_over:
                changed = channel.changed
                if channel.log_end is not None and at < channel.log_end:
                    begins, data = await self._feed.read_log(channel, at)
                    at = begins + len(data)
                    yield data
                elif channel.log_is_whole:
                    return
                else:
                    await happens(changed, _LOOK_SECONDS)
            raise ClientDisconnect  # an orderly end would say that this is all


class LogFile:
    """What is kept of a log, as bytes to download."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self._database = database
        self._kept = kept

    def stored(self, job_id: str) -> Stored:
        """A log that grew, or lost its beginning, is another file."""
        return Stored(
            key=job_id,
            size=self._kept.end - self._kept.start,
            identity=f"{job_id}-{self._kept.start}-{self._kept.end}",
            filename=f"{job_id}.log",
            media_type=MEDIA_TYPE,
        )

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """A row at a time, each in a transaction of its own."""
        at, last = self._kept.start + start, self._kept.start + end
        while at < last:
            with self._database.read() as session:
                begins, data = job_logs.read(session, key, at)
            if begins != at or not data:
                raise StorageFault(f"The beginning of the log of {key} was dropped meanwhile.")
            yield data[: last - at]
            at += len(data)
