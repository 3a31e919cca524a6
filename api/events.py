"""The feed: everybody in this process who watches a job, and the one poller that looks for them.

Events are rows, written by workers in other processes. However many watch, one thread asks the
database every quarter of a second what is new of all watched jobs together, and each new event is
encoded once. A watcher has no queue: it keeps the sequence it has seen, and takes what follows
from its job's recent events, or from the table when it was too slow and they are gone. Of logs and
step metrics the poller only says how far they are; a page of metrics is read once for all watchers
that have seen as much.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from core.errors import Unavailable
from core.records import events, job_logs, keys, metrics, states
from core.records.engine import Database
from core.records.events import News
from core.records.metrics import Measured, Place
from core.records.tables import Job, JobEvent
from core.settings import MIB

POLL_SECONDS = 0.25
RETRY_SECONDS = 1.0  # before a database that did not answer is asked again
KEY_SECONDS = 15.0  # between looks whether the watchers' keys were revoked
MAX_WATCHERS = 5000  # of one process; each costs a connection and about 55 KB (measured)
_RECENT_EVENTS = 256  # kept of a job for those who watch it
_RECENT_BYTES = MIB
_PAGE = 100  # events read from the table at once
_STEPS = 500  # of which metrics are read at once
_READERS = 2  # threads for those who catch up: they must not keep other requests waiting

Encoded = tuple[int, bytes]  # an event's sequence and its form on the wire
_StepsPage = asyncio.Future[tuple[Place, bytes]]  # up to where, and their form on the wire


class Channel:
    """A watched job: where it stands and its recent events."""

    def __init__(self, job: Job) -> None:
        self.job_id = job.id
        self.project_id = job.project_id
        self.status = job.status
        self.last = job.next_event_sequence - 1  # sequence up to which events are known here
        self.changed = asyncio.Event()  # another one after each change
        self.watchers = 0
        self.log_followers = 0
        self.log_end: int | None = None  # byte up to which the log is written, once looked for
        self.log_is_whole = False  # nothing will be added to it
        self.metrics_followers = 0
        self.metrics_end: Place | None = None  # the last step measured, once looked for
        self.metrics_are_whole = False
        self.steps_pages: dict[tuple[Place, Place | None], _StepsPage] = {}
        self._newest = self.last  # sequence of the newest event in the table
        self._recent: deque[Encoded] = deque()
        self._bytes = 0

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended and `last` is its last event for ever."""
        return self.status in states.ENDED and self.last >= self._newest

    @property
    def is_behind(self) -> bool:
        """Whether the table has more than was taken in."""
        return self.last < self._newest

    def after(self, sequence: int) -> list[Encoded] | None:
        """The events that follow; None when they are not kept any more."""
        first = self._recent[0][0] if self._recent else self.last + 1
        if sequence + 1 < first:
            return None
        return [event for event in self._recent if event[0] > sequence]

    def add(self, news: News, encoded: list[Encoded]) -> None:
        """Takes in what the poller found and wakes who waits for it."""
        is_new = bool(encoded) or news.status != self.status or news.last != self._newest
        self.status, self._newest = news.status, news.last
        for event in encoded:
            self._recent.append(event)
            self._bytes += len(event[1])
            self.last = event[0]
        while len(self._recent) > _RECENT_EVENTS or self._bytes > _RECENT_BYTES:
            self._bytes -= len(self._recent.popleft()[1])
        if is_new:
            self.wake()

    def set_log_end(self, end: int) -> None:
        """How far the log was when the status was known already: a job that has ended has written
        its last line by then."""
        is_new = end != self.log_end or self.has_ended != self.log_is_whole
        self.log_end, self.log_is_whole = end, self.has_ended
        if is_new:
            self.wake()

    def set_metrics_end(self, end: Place | None) -> None:
        """How far the metrics were, likewise. None: nothing was measured yet."""
        is_new = end != self.metrics_end or self.has_ended != self.metrics_are_whole
        self.metrics_end, self.metrics_are_whole = end, self.has_ended
        if is_new:
            self.steps_pages.clear()
            self.wake()

    def wake(self) -> None:
        """Those who wait look again."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(eq=False)
class Watch:
    """One watcher's hold on its job's channel."""

    channel: Channel
    key_id: str
    is_over: bool = False  # the process stops, or the key was revoked


class Feed:
    """Made and used on the event loop; only its reads run in threads of its own."""

    def __init__(
        self,
        database: Database,
        encode: Callable[[JobEvent], bytes],
        encode_step: Callable[[Measured], bytes],
    ) -> None:
        self._database = database
        self._encode = encode
        self._encode_step = encode_step
        self._channels: dict[str, Channel] = {}
        self._watches: set[Watch] = set()
        self._poller = ThreadPoolExecutor(1, "event-poller")
        self._readers = ThreadPoolExecutor(_READERS, "event-reader")
        self._task: asyncio.Task[None] | None = None
        self._keys_seen_at = time.monotonic()
        self._closed = False
        self._log = structlog.get_logger()

    def require_room(self) -> None:
        """Raises Unavailable when this process has as many watchers as it takes."""
        if len(self._watches) >= MAX_WATCHERS or self._closed:
            raise Unavailable(
                f"{len(self._watches)} event streams are open, and this process takes no more; "
                "poll the events instead, or try again later.",
                code="too_many_watchers",
            )

    @contextmanager
    def watch(
        self, job: Job, key_id: str, *, log: bool = False, metrics: bool = False
    ) -> Iterator[Watch]:
        """Holds the job's channel open, and has its log or its metrics looked at too if asked for.
        The job's row may be some moments old."""
        channel = self._channels.setdefault(job.id, Channel(job))
        watch = Watch(channel, key_id, is_over=self._closed)
        channel.watchers += 1
        channel.log_followers += log
        channel.metrics_followers += metrics
        self._watches.add(watch)
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        try:
            yield watch
        finally:
            self._watches.remove(watch)
            channel.watchers -= 1
            channel.log_followers -= log
            channel.metrics_followers -= metrics
            if not channel.watchers:
                del self._channels[job.id]

    async def read(self, channel: Channel, after: int) -> list[Encoded]:
        """A page of the job's events from the table, for a watcher whom recent ones do not help."""

        def find() -> list[Encoded]:
            with self._database.read() as session:
                page = events.list_events(
                    session, channel.project_id, channel.job_id, after=after, limit=_PAGE
                )
            return self._encoded(page.items)

        return await asyncio.get_running_loop().run_in_executor(self._readers, find)

    async def read_log(self, channel: Channel, start: int) -> tuple[int, bytes]:
        """As `core.records.job_logs.read`."""

        def find() -> tuple[int, bytes]:
            with self._database.read() as session:
                return job_logs.read(session, channel.job_id, start)

        return await asyncio.get_running_loop().run_in_executor(self._readers, find)

    async def read_metrics(self, channel: Channel, after: Place) -> tuple[Place, bytes]:
        """A page of the job's step metrics, which there is, and up to where it goes."""
        asked = (after, channel.metrics_end)
        page = channel.steps_pages.get(asked)
        if page is None or (page.done() and page.exception() is not None):
            loop = asyncio.get_running_loop()
            page = loop.run_in_executor(self._readers, self._steps_page, channel.job_id, after)
            channel.steps_pages[asked] = page
        return await asyncio.shield(page)

    def _steps_page(self, job_id: str, after: Place) -> tuple[Place, bytes]:
        with self._database.read() as session:
            found = metrics.list_steps(session, job_id, after, _STEPS)
        return found[-1].place, b"".join(map(self._encode_step, found))

    def end_all(self) -> None:
        """Every watcher is let go: the process stops."""
        self._closed = True
        self._let_go(lambda watch: True)

    async def close(self) -> None:
        """Stops the poller, once nobody watches any more."""
        self.end_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for executor in (self._poller, self._readers):
            executor.shutdown()

    async def _poll(self) -> None:
        """Looks while anybody watches a job that has not ended."""
        while self._watches:
            try:
                is_behind = await self._look()
            except Unavailable as error:
                self._log.warning("events wait", error=error.message)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # or every watcher of this process would wait for ever
                self._log.exception("event poller failed")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(0 if is_behind else POLL_SECONDS)
        self._task = None

    async def _look(self) -> bool:
        """One round for all; whether the table had more than was read."""
        channels = self._channels.values()
        seen = {c.job_id: c.last for c in channels if not c.has_ended}
        logs = [c.job_id for c in channels if c.log_followers and not c.log_is_whole]
        measured = [c.job_id for c in channels if c.metrics_followers and not c.metrics_are_whole]
        watching = Counter(watch.key_id for watch in self._watches)
        check_keys = time.monotonic() - self._keys_seen_at >= KEY_SECONDS
        found, log_ends, steps, open_keys = await asyncio.get_running_loop().run_in_executor(
            self._poller, self._ask, seen, logs, measured, list(watching) if check_keys else []
        )
        for job_id, (news, encoded) in found.items():
            if job_id in self._channels:
                self._channels[job_id].add(news, encoded)
        for job_id, end in log_ends.items():
            if job_id in self._channels:
                self._channels[job_id].set_log_end(end)
        for job_id in measured:
            if job_id in self._channels:
                self._channels[job_id].set_metrics_end(steps.get(job_id))
        if check_keys:
            self._keys_seen_at = time.monotonic()
            self._let_go(lambda watch: watch.key_id in watching and watch.key_id not in open_keys)
        return any(channel.is_behind for channel in self._channels.values())

    def _ask(
        self, seen: dict[str, int], logs: list[str], measured: list[str], key_ids: list[str]
    ) -> tuple[dict[str, tuple[News, list[Encoded]]], dict[str, int], dict[str, Place], set[str]]:
        """In the poller's thread. Logs and metrics after statuses, or the end of one could be
        missed."""
        if not seen and not logs and not measured and not key_ids:
            return {}, {}, {}, set()
        with self._database.read() as session:
            found = events.news(session, seen, _PAGE)
            log_ends = {job_id: job_logs.kept(session, job_id).end for job_id in logs}
            steps = metrics.ends(session, measured)
            open_keys = keys.still_open(session, key_ids) if key_ids else set()
        encoded = {job_id: (item, self._encoded(item.rows)) for job_id, item in found.items()}
        return encoded, log_ends, steps, open_keys

    def _encoded(self, rows: list[JobEvent]) -> list[Encoded]:
        return [(row.sequence, self._encode(row)) for row in rows]

    def _let_go(self, whom: Callable[[Watch], bool]) -> None:
        channels = set()
        for watch in filter(whom, self._watches):
            watch.is_over = True
            channels.add(watch.channel)
        for channel in channels:
            channel.wake()
