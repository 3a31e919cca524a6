"""How often each key was used: counted in memory, written now and then.

A write for every request would queue requests behind one another on SQLite. A process that is
killed forgets what it counted in the last FLUSH_SECONDS.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool

from core.records import keys, usage
from core.records.engine import Database

FLUSH_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass
class _Count:
    project_id: str
    requests: int
    last: float


class Meter:
    """Counts of one process. Safe to share between threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}

    def note(self, project_id: str, key_id: str, requests: int = 1) -> None:
        """The key was used just now."""
        with self._lock:
            count = self._counts.setdefault(key_id, _Count(project_id, 0, 0.0))
            count.requests += requests
            count.last = self._clock()

    def flush(self) -> None:
        """Writes what was counted. Without a database it is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            self._write(counts)
        except BaseException:
            self._put_back(counts)
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flushes every FLUSH_SECONDS during the block, and at its end."""
        task = asyncio.create_task(self._flush_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await run_in_threadpool(self._flush_or_log)

    def _flush_or_log(self) -> None:
        try:
            self.flush()
        except Exception as error:  # the next flush writes it
            log.warning("flush_failed", error=str(error))

    def _write(self, counts: dict[str, _Count]) -> None:
        at = self._clock()
        with self._database.write() as session:
            for key_id, count in sorted(counts.items()):
                keys.note_use(session, key_id, at - count.last)
                usage.count_requests(session, count.project_id, key_id, count.requests)

    def _put_back(self, counts: dict[str, _Count]) -> None:
        with self._lock:
            for key_id, count in counts.items():
                later = self._counts.setdefault(key_id, _Count(count.project_id, 0, count.last))
                later.requests += count.requests

    async def _flush_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await run_in_threadpool(self._flush_or_log)
