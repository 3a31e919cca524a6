"""Claims, with many jobs queued and with few, on PostgreSQL.

Simulated workers are processes with a connection each. All of them claim at once, in a loop, by the
code that workers claim by, and give the job back by the code of a worker that stops, so that the
queue stays as long as it is. Then one worker claims alone, of either queue in turns.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.databases import database_kinds
from benchmarks.job_rows import ORIGINALS, copy_rows, tidy
from benchmarks.timing import in_turns, summary
from core.records import leases
from core.records.engine import Database, migrate
from core.records.tables import Job, JobEvent, OutboxRow
from tests import service_builders as build

PROJECTS = 5
_FORK = multiprocessing.get_context("fork")


def measure(queued: tuple[int, int], workers: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Claims per second of all workers and seconds of a claim, by jobs in the queue."""
    found: dict[str, Any] = {"queued": list(queued), "workers": workers, "rounds": rounds}
    with tempfile.TemporaryDirectory(prefix="lipsum-claims-") as made, database_kinds() as kinds:
        if "postgresql" not in kinds:
            return found | {"together": {}, "alone": {}}
        urls = {}
        for size in queued:
            urls[size] = kinds["postgresql"](Path(made) / f"queue-{size}.db")
            _fill(urls[size], size)
        found["together"] = {size: _together(urls[size], workers, seconds) for size in queued}
        found["alone"] = _alone(urls, rounds)
    return found


def _fill(url: str, size: int) -> None:
    """A queue of so many jobs, a multiple of ORIGINALS, of five projects."""
    migrate(url)
    database = Database(url)
    projects = [build.project(database, f"project {number}") for number in range(PROJECTS)]
    jobs = [build.job(database, projects[n % PROJECTS]).id for n in range(ORIGINALS)]
    columns = (Job.__table__.c.id, JobEvent.__table__.c.job_id, OutboxRow.__table__.c.job_id)
    copy_rows(database.engine, dict.fromkeys(columns, jobs), size // ORIGINALS - 1)
    tidy(database.engine)
    database.close()


def _together(url: str, workers: int, seconds: float) -> dict[str, float]:
    """Claims per second of so many workers at once, and how long one lasts then."""
    times: Queue[list[float]] = _FORK.Queue()
    barrier = _FORK.Barrier(workers + 1)
    processes: list[ForkProcess] = [
        _FORK.Process(target=_work, args=(url, f"worker {number}", seconds, barrier, times))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    all_times = [spent for _ in processes for spent in times.get()]
    wall = time.perf_counter() - began
    for process in processes:
        process.join()
    return {"claims_per_second": round(len(all_times) / wall, 1)} | summary(all_times)


def _work(
    url: str, owner: str, seconds: float, barrier: Barrier, times: Queue[list[float]]
) -> None:
    database, spent = Database(url), []
    _give_back(database, build.claim(database, owner))  # what only the first of them costs
    barrier.wait()
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        claim = build.claim(database, owner)
        spent.append(time.perf_counter() - began)
        _give_back(database, claim)
    times.put(spent)
    database.close()


def _alone(urls: dict[int, str], rounds: int) -> dict[int, dict[str, float]]:
    """Seconds of a claim and of giving back what was claimed, together."""
    databases = {str(size): Database(url) for size, url in urls.items()}
    calls: dict[str, Callable[[], object]] = {
        name: partial(_claim_and_give_back, database) for name, database in databases.items()
    }
    timed = in_turns(calls, rounds)
    for database in databases.values():
        database.close()
    return {int(name): summary(times) for name, times in timed.items()}


def _claim_and_give_back(database: Database) -> None:
    _give_back(database, build.claim(database))


def _give_back(database: Database, claim: leases.Claim) -> None:
    with database.write() as session:
        leases.give_back(session, claim)
