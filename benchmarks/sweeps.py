"""A sweep, with many finished jobs in the database and with few, in turns.

What is measured is what a sweep costs for ever after: the objects of the finished jobs that no row
names were looked for before. Some of the jobs wait and one runs, as `benchmarks.job_rows` says.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import update

from benchmarks.databases import NewDatabase, database_kinds
from benchmarks.job_rows import fill, tidy
from benchmarks.service import Service, service
from benchmarks.timing import in_turns, summary
from core.records.tables import Job
from worker.sweeper import Sweeper

_DAY = 86400.0  # seconds for which those that hold a job do not lose it


def measure(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Seconds of a sweep, by database and jobs in it."""
    found: dict[str, Any] = {"sizes": list(sizes), "rounds": rounds, "seconds": {}}
    with tempfile.TemporaryDirectory(prefix="lipsum-sweeps-") as made, database_kinds() as kinds:
        for kind, new_database in kinds.items():
            directory = Path(made) / kind
            found["seconds"][kind] = _measure(directory, new_database, sizes, rounds)
            shutil.rmtree(directory)
    return found


def _measure(
    directory: Path, new_database: NewDatabase, sizes: Sequence[int], rounds: int
) -> dict[str, dict[str, float]]:
    calls: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        for size in sizes:
            folder = directory / str(size)
            folder.mkdir(parents=True)
            url = new_database(folder / f"swept-{size}.db")
            running = stack.enter_context(service(folder, database_url=url))
            fill(running, size)
            calls[str(size)] = _sweeper(running).sweep
        return {name: summary(times) for name, times in in_turns(calls, rounds).items()}


def _sweeper(running: Service) -> Sweeper:
    """Of a worker to which nothing is left to do of the finished jobs."""
    api = running.api
    ended, held = Job.finished_at.is_not(None), Job.lease_token.is_not(None)
    with api.database.write() as session:
        for statement in (
            update(Job).where(ended).values(purged_at=Job.finished_at),
            update(Job).where(held).values(lease_expires_at=time.time() + _DAY),
        ):
            session.execute(statement, execution_options={"synchronize_session": False})
    tidy(api.database.engine)
    return Sweeper(api.database, api.store, api.settings, wake=lambda: None)
