"""Twenty jobs of tables of different sizes, each behind an API process of its own, in turns.

Asked for are the newest twenty, twenty from the middle of the project's jobs (by `after`), and the
newest twenty with a pair of metadata that all of them have.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.client import Connection, connect
from benchmarks.databases import NewDatabase, database_kinds
from benchmarks.job_rows import fill
from benchmarks.service import JOBS, Service, service
from benchmarks.timing import in_turns, summary
from core.records.tables import Job

LIMIT = 20


def measure(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Seconds of each page, by database, page and jobs in the table."""
    found: dict[str, Any] = {"sizes": list(sizes), "rounds": rounds}
    found["fill_seconds"], found["seconds"] = {}, {}
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-list-") as made,
        database_kinds() as kinds,
    ):
        for kind, new_database in kinds.items():
            directory = Path(made) / kind
            filled, seconds = _measure(directory, new_database, sizes, rounds)
            found["fill_seconds"][kind], found["seconds"][kind] = filled, seconds
            shutil.rmtree(directory)
    return found


def _measure(
    directory: Path, new_database: NewDatabase, sizes: Sequence[int], rounds: int
) -> tuple[float, dict[str, dict[str, Any]]]:
    calls: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        started = time.perf_counter()
        for size in sizes:
            folder = directory / str(size)
            folder.mkdir(parents=True)
            url = new_database(folder / f"jobs-{size}.db")
            running = stack.enter_context(service(folder, database_url=url))
            fill(running, size)
            port, key = running.api.settings.port, running.api.key
            connection = stack.enter_context(connect(port, key))
            for page, query in _pages(running).items():
                calls[f"{page} {size}"] = partial(_list, connection, query)
        filled = time.perf_counter() - started
        timed = in_turns(calls, rounds)
    seconds: dict[str, dict[str, Any]] = {}
    for name, times in timed.items():
        page, _, size_text = name.rpartition(" ")
        seconds.setdefault(page, {})[size_text] = summary(times)
    return round(filled, 1), seconds


def _pages(running: Service) -> dict[str, str]:
    return {
        "newest": "",
        "middle": f"&after={_middle(running)}",
        "metadata": "&metadata[team]=birds",
    }


def _middle(running: Service) -> str:
    """The job that half of the project's are older than."""
    mine = Job.project_id == running.api.project_id
    with running.api.database.read() as session:
        count = session.execute(select(func.count()).where(mine)).scalar_one()
        ordered = select(Job.id).where(mine).order_by(Job.created_at, Job.id)
        return session.execute(ordered.offset(count // 2).limit(1)).scalar_one()


def _list(connection: Connection, query: str) -> None:
    answer = json.loads(connection.get(f"{JOBS}?limit={LIMIT}{query}"))
    assert len(answer["data"]) == LIMIT and answer["has_more"], query
