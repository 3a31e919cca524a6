"""What it costs to watch: many event streams on one API process, delay and memory.

Starts an API process over a fresh data directory, opens the streams, writes events from this
process (as a worker would) and measures, for every event and watcher, the time from just before the
event's commit until its last byte was read. The readers share the machine with what they measure.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.memory import descendants, peak, resident
from benchmarks.timing import percentile
from cli.servers import raise_file_limit
from core.records import events
from core.records.engine import Database
from core.records.events import Line
from tests import service_builders as build
from tests.api_process import ApiProcess, api_process

EVENTS_PER_SECOND = 4.0  # over all jobs, on average
_LATEST = 30.0  # seconds after the last event


@dataclass(frozen=True)
class Figures:
    """Delays in seconds, memory in bytes."""

    watchers: int
    jobs: int
    events: int  # written, over all jobs
    readings: int  # an event read by a watcher
    delay_p50: float
    delay_p99: float
    delay_most: float
    api_processes: int
    api_bytes_idle: int  # resident memory before the first stream
    api_bytes_per_watcher: int  # at its peak, when events had been sent


def measure(watchers: int, jobs: Sequence[int], events: int) -> dict[str, Any]:
    """The figures of so many watchers of so many jobs, for each number of jobs."""
    return {"rows": [asdict(watch(watchers, n_jobs, events)) for n_jobs in jobs]}


def watch(n_watchers: int, n_jobs: int, n_events: int) -> Figures:
    """The figures on this machine. Watchers and events are multiples of the jobs."""
    raise_file_limit()  # each watcher is a socket here too
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-watchers-") as folder,
        api_process(Path(folder)) as api,
    ):
        job_ids = [build.job(api.database, api.project_id).id for _ in range(n_jobs)]
        return asyncio.run(_watch(api, job_ids, n_watchers, n_events))


async def _watch(
    api: ApiProcess, job_ids: Sequence[str], n_watchers: int, n_events: int
) -> Figures:
    pid, n_jobs = api.process.pid, len(job_ids)
    idle = resident(pid)
    readings = _Readings(n_events * n_watchers // n_jobs)
    connecting = asyncio.Semaphore(50)
    ready = [asyncio.Event() for _ in range(n_watchers)]
    readers = [
        asyncio.create_task(
            _read(api.settings.port, api.key, job_ids[n % n_jobs], connecting, ready[n], readings)
        )
        for n in range(n_watchers)
    ]
    connected = asyncio.gather(*(event.wait() for event in ready))
    await asyncio.wait({connected, *readers}, return_when=asyncio.FIRST_COMPLETED)
    assert connected.done(), "a stream was refused"
    pauses = random.Random(0)  # uneven: else all events fall into the same moment of a poll
    for number in range(n_events):
        job_id = job_ids[number % n_jobs]
        await asyncio.to_thread(_write, api.database, job_id, number, readings)
        await asyncio.sleep(pauses.uniform(0.5, 1.5) / EVENTS_PER_SECOND)
    everything = asyncio.create_task(readings.all_there.wait())
    await asyncio.wait({everything, *readers}, timeout=_LATEST, return_when=asyncio.FIRST_COMPLETED)
    processes = [pid, *descendants(pid)]
    most = peak(pid)
    for reader in readers:
        reader.cancel()
    ended = await asyncio.gather(*readers, return_exceptions=True)
    faults = [fault for fault in ended if not isinstance(fault, asyncio.CancelledError)]
    assert not faults, faults[:3]
    # One that never comes is no delay to leave out.
    assert everything.done(), f"{len(readings.delays)} of {readings.expected} events were read"
    return Figures(
        watchers=n_watchers,
        jobs=n_jobs,
        events=n_events,
        readings=len(readings.delays),
        delay_p50=round(percentile(readings.delays, 50), 4),
        delay_p99=round(percentile(readings.delays, 99), 4),
        delay_most=round(max(readings.delays), 4),
        api_processes=len(processes),
        api_bytes_idle=idle,
        api_bytes_per_watcher=(most - idle) // n_watchers,
    )


class _Readings:
    """When events were written, and how long each took to each watcher."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self._written: dict[tuple[str, str], float] = {}
        self.delays: list[float] = []
        self.all_there = asyncio.Event()

    def write(self, job_id: str, message: str) -> None:
        self._written[job_id, message] = time.monotonic()

    def read(self, job_id: str, line: bytes) -> None:
        arrived = time.monotonic()
        self.delays.append(arrived - self._written[job_id, json.loads(line)["message"]])
        if len(self.delays) == self.expected:
            self.all_there.set()


async def _read(
    port: int,
    secret: str,
    job_id: str,
    connecting: asyncio.Semaphore,
    ready: asyncio.Event,
    readings: _Readings,
) -> None:
    """One watcher: a bare socket, so that what is measured is the service and not a client."""
    async with connecting:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/v1/fine_tuning/jobs/{job_id}/events?stream=true&after=1"
        host, bearer = f"host: 127.0.0.1:{port}", f"authorization: Bearer {secret}"
        head = f"GET {path} HTTP/1.1\r\n{host}\r\n{bearer}\r\n\r\n"
        writer.write(head.encode())
        assert b" 200 " in await reader.readline()
        while (await reader.readline()).strip():
            pass
    ready.set()
    try:
        while line := await reader.readline():
            if line.startswith(b"data: "):
                readings.read(job_id, line[6:])
    finally:
        writer.close()


def _write(database: Database, job_id: str, number: int, readings: _Readings) -> None:
    message = f"event {number}"
    with database.write() as session:
        events.append(session, job_id, [Line(message)])
        readings.write(job_id, message)  # before the commit: no delay is too short
