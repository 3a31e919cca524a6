"""What it costs to watch: many event streams on one API process, delay and memory.

    python -m benchmarks.watchers --watchers 1000

Starts an API process over a fresh data directory, opens the streams, writes events from this
process (as a worker would) and measures, for every event and watcher, the time from the event's
commit until its last byte was read. Prints one JSON object. The readers share the machine with
what they measure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.ids import new_id
from core.jobs.spec import DatasetReference, JobSpec, ModelReference, SplitReference
from core.records import datasets, events, jobs
from core.records.engine import Database
from core.records.events import Line
from tests.api_process import ApiProcess, api_process

EVENTS_PER_SECOND = 4.0  # over all jobs


@dataclass(frozen=True)
class Figures:
    """Delays in seconds, memory in bytes."""

    watchers: int
    jobs: int
    events: int  # written, over all jobs
    readings: int  # an event read by a watcher
    delay_p50: float
    delay_p99: float
    delay_max: float
    api_bytes_idle: int  # resident memory before the first stream
    api_bytes_per_watcher: float
    cores: int


def measure(n_watchers: int, n_jobs: int, n_events: int) -> Figures:
    """The figures on this machine."""
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-watchers-") as folder,
        api_process(Path(folder)) as api,
    ):
        job_ids = [_make_job(api.database, api.project_id) for _ in range(n_jobs)]
        return asyncio.run(_watch(api, job_ids, n_watchers, n_events))


async def _watch(
    api: ApiProcess, job_ids: Sequence[str], n_watchers: int, n_events: int
) -> Figures:
    pid = api.process.pid
    idle = _resident_bytes(pid)
    delays: list[float] = []
    written: dict[tuple[str, str], float] = {}
    connecting = asyncio.Semaphore(50)
    ready = [asyncio.Event() for _ in range(n_watchers)]
    readers = [
        asyncio.create_task(
            _read(
                api.settings.port,
                api.key,
                job_ids[n % len(job_ids)],
                connecting,
                ready[n],
                written,
                delays,
            )
        )
        for n in range(n_watchers)
    ]
    connected = asyncio.gather(*(event.wait() for event in ready))
    await asyncio.wait({connected, *readers}, return_when=asyncio.FIRST_COMPLETED)
    assert connected.done(), "a stream was refused"
    await asyncio.sleep(1.0)
    per_watcher = (_resident_bytes(pid) - idle) / n_watchers
    for number in range(n_events):
        job_id = job_ids[number % len(job_ids)]
        await asyncio.to_thread(_write, api.database, job_id, number, written)
        await asyncio.sleep(1.0 / EVENTS_PER_SECOND)
    await asyncio.sleep(2.0)
    for reader in readers:
        reader.cancel()
    faults = [
        fault
        for fault in await asyncio.gather(*readers, return_exceptions=True)
        if not isinstance(fault, asyncio.CancelledError)
    ]
    assert not faults, faults[:3]
    delays.sort()
    return Figures(
        watchers=n_watchers,
        jobs=len(job_ids),
        events=n_events,
        readings=len(delays),
        delay_p50=delays[len(delays) // 2],
        delay_p99=delays[int(len(delays) * 0.99)],
        delay_max=delays[-1],
        api_bytes_idle=idle,
        api_bytes_per_watcher=per_watcher,
        cores=len(os.sched_getaffinity(0)),
    )


async def _read(
    port: int,
    secret: str,
    job_id: str,
    connecting: asyncio.Semaphore,
    ready: asyncio.Event,
    written: dict[tuple[str, str], float],
    delays: list[float],
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
                arrived = time.monotonic()
                message = json.loads(line[6:])["message"]
                delays.append(arrived - written[job_id, message])
    finally:
        writer.close()


def _write(
    database: Database, job_id: str, number: int, written: dict[tuple[str, str], float]
) -> None:
    message = f"event {number}"
    with database.write() as session:
        events.append(session, job_id, [Line(message)])
        written[job_id, message] = time.monotonic()  # before the commit: no delay is too short


def _make_job(database: Database, project_id: str) -> str:
    job_id = new_id("ftjob")
    spec = JobSpec(
        job_id=job_id,
        method="ft",
        hyperparameters={},
        theta0=ModelReference(id="base:tiny", object_key="b", sha256="b", size=1),
        model_id=f"ft:tiny::{job_id.removeprefix('ftjob-')}",
        datasets=[DatasetReference(version="v", archive_key="a", archive_size=1, index_key="i")],
        splits=[SplitReference(name="train", version="v", archive_split="train")],
        seeds=[0],
        alphas=[],
        max_unreadable_fraction=0.01,
    )
    with database.write() as session:
        datasets.create(
            session,
            project_id,
            "v",
            archive_key="a",
            archive_size=1,
            archive_sha256="a",
            structure={},
            index_key="i",
        )
        jobs.create(session, project_id, spec, {"model": "base:tiny", "training_file": "file-1"})
    return job_id


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--events", type=int, default=60)
    options = parser.parse_args()
    figures = measure(options.watchers, options.jobs, options.events)
    print(json.dumps(asdict(figures), indent=2))


if __name__ == "__main__":
    main()
