"""Creating a job, beside the bare insert of a row: the same request to both, in turns.

The service checks the key, whether the request came before, model, file, splits, hyperparameters
and limits; it writes the job, its first event and transition, the queue's and the audit's rows; and
it answers with the whole job. The bare app (`benchmarks.bare_app`) checks a body and writes a row.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.client import await_answer, connect
from benchmarks.databases import NewDatabase, database_kinds
from benchmarks.service import JOBS, service
from benchmarks.timing import in_turns, summary
from tests.api_process import ROOT
from tests.services import free_port


def measure(rounds: int) -> dict[str, Any]:
    """Seconds of a request to each, by database."""
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-create-") as made,
        database_kinds() as kinds,
    ):
        found = {
            kind: _measure(Path(made) / kind, new_database, rounds)
            for kind, new_database in kinds.items()
        }
    return {"rounds": rounds, "seconds": found}


def _measure(directory: Path, new_database: NewDatabase, rounds: int) -> dict[str, Any]:
    directory.mkdir()
    with (
        service(directory, database_url=new_database(directory / "service.db")) as running,
        _bare_app(new_database(directory / "bare.db")) as bare_port,
        connect(running.api.settings.port, running.api.key) as ours,
        connect(bare_port) as bare,
    ):
        calls = {
            "service": lambda: ours.post(JOBS, running.body),
            "bare": lambda: bare.post("/jobs", running.body),
        }
        return {name: summary(seconds) for name, seconds in in_turns(calls, rounds).items()}


@contextmanager
def _bare_app(database_url: str) -> Iterator[int]:
    """The bare app's port, when it answers."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_app", database_url, str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        await_answer(process, port, "/openapi.json")
        yield port
    finally:
        process.terminate()
        process.wait(20)
