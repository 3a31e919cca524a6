"""What every worker's trainer is doing at the moment, by what it prints and by the rows."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from core.errors import Unavailable
from core.records.engine import Database
from core.records.tables import Job
from tests.chaos.processes import children, is_alive
from tests.chaos.stack import Stack, Worker
from tests.trainers import attempt_directory

LOOK_SECONDS = 0.01
ROWS_SECONDS = 0.3
STARTING = "starting"  # from the claim to the first phase: Python and torch are loaded
_PHASE = re.compile(rb"phase: (\w+)")


@dataclass
class Trainer:
    """A trainer process that lives."""

    worker: int
    pid: int
    job: str
    duty: str
    attempt: int
    log: Path
    phase: str = STARTING
    since: float = 0.0  # when the phase began, as we saw it
    _read: int = 0

    def look(self) -> None:
        """Reads on in its log. What it printed last before it died is where it died."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._read)
                found = _PHASE.findall(file.read())
                self._read = max(self._read, file.tell() - 40)  # a line may be half written
        except OSError:
            return
        if found and found[-1].decode() != self.phase:
            self.phase, self.since = found[-1].decode(), time.monotonic()

    @property
    def aim(self) -> str:
        """What a fault that hits it now hits."""
        if self.duty == "check":
            return "checking"
        return self.phase


@dataclass(frozen=True)
class Row:
    """A job's row when it was last read."""

    status: str
    phase: str | None
    step: int
    attempt: int
    stop_for: str | None


class Watch:
    """Two threads that look; `on_look` is called with each living trainer, often."""

    def __init__(self, stack: Stack, on_look: Callable[[Worker, Trainer], None]) -> None:
        self.trainers: dict[int, Trainer] = {}  # by worker
        self.rows: dict[str, Row] = {}
        self._steps: dict[str, int] = {}
        self._stack = stack
        self._on_look = on_look
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._look, self._read_rows)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def step_of(self, job: str) -> int | None:
        """The last that was reported, also where what follows training has none."""
        return self._steps.get(job)

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            for worker in self._stack.workers:
                trainer = self._trainer_of(worker)
                if trainer is not None:
                    trainer.look()
                    self._on_look(worker, trainer)

    def _trainer_of(self, worker: Worker) -> Trainer | None:
        known = self.trainers.get(worker.number)
        if known is not None and is_alive(known.pid):
            return known
        self.trainers.pop(worker.number, None)
        pid = worker.pid
        if pid is None:
            return None
        for child, _ in children(pid):
            directory = attempt_directory(child)
            if directory is not None and is_alive(child):
                self.trainers[worker.number] = found = _trainer(worker, child, directory)
                return found
        return None

    def _read_rows(self) -> None:
        database = Database(self._stack.postgresql.url)
        statement = select(Job.id, Job.status, Job.phase, Job.step, Job.attempt, Job.stop_for)
        while not self._done.wait(ROWS_SECONDS):
            try:
                with database.read() as session:
                    for row in session.execute(statement):
                        self.rows[row.id] = Row(*row[1:])
                        if row.phase == "training" or row.id not in self._steps:
                            self._steps[row.id] = row.step
            except Unavailable:
                continue
        database.close()


def _trainer(worker: Worker, pid: int, directory: Path) -> Trainer:
    job, duty, number = directory.name.rsplit("-", 2)
    attempt = 0 if duty == "check" else int(number)
    log = directory / "trainer.log"
    return Trainer(worker.number, pid, job, duty, attempt, log, since=time.monotonic())
