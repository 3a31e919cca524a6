"""A supervisor with real trainers and a real database, driven step by step; its clock is ours."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.records import events
from core.records.engine import Database, Session
from core.records.tables import Job
from core.settings import Settings
from tests import service_builders as build
from worker.attempt import Attempt
from worker.supervisor import Supervisor

TRAINER = (sys.executable, str(Path(__file__).parents[2] / "tiny_trainer.py"))
PATIENCE = 30.0  # real seconds for a process to start or end
STALL, GRACE, LEASE = 500.0, 10.0, 60.0


class MovedClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Outage(Database):
    """A database that can be away."""

    away = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.away:
            raise Unavailable("The database did not answer.")
        with super().write() as session:
            yield session


class World:
    """A supervisor and what it needs, driven step by step."""

    def __init__(
        self, url: str, tmp_path: Path, command: tuple[str, ...] = TRAINER, **settings: Any
    ) -> None:
        self.database = Outage(url)
        self.clock = MovedClock()
        self.settings = Settings(
            data_dir=tmp_path / "data",
            worker_slots=2,
            worker_gpus="0,1 GPU-7",
            worker_labels="gpu-mem=24g",
            lease_seconds=LEASE,
            stall_seconds=STALL,
            stop_grace_seconds=GRACE,
            max_attempts=2,
            **settings,
        )
        self.supervisor = Supervisor(
            self.settings, self.database, "worker", "boot", command, clock=self.clock
        )
        self.project = build.project(self.database)

    def job(self, *scripts: list[str]) -> Job:
        return build.job(self.database, self.project, hyperparameters={"scripts": list(scripts)})

    def read(self, job: Job) -> Job:
        return build.read(self.database, job)

    def messages(self, job: Job) -> list[str]:
        with self.database.read() as session:
            page = events.list_events(session, self.project, job.id, limit=1000)
        return [event.message for event in page.items]

    def drive(self, until: Callable[[], bool]) -> None:
        """Steps, at a slow pace, until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, "it never came to be so"
            self.supervisor.step(longest=0.02)
            self.clock.time += 0.05

    def start(self, job: Job, word: str = "tiny trainer") -> Attempt:
        """The job's attempt, once its trainer has said the word."""
        self.drive(lambda: any(word in message for message in self.messages(job)))
        return next(item for item in self.supervisor.attempts if item.claim.job_id == job.id)

    def ask(self, what: Callable[[Session, str, str], object], job: Job) -> None:
        """Something of the records, of whose doing the worker hears."""
        with self.database.write() as session:
            what(session, self.project, job.id)
        self.supervisor.wake()  # as the doorbell does
        self.supervisor.step(longest=1.0)

    def close(self) -> None:
        self.supervisor.close()
        self.database.close()

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.supervisor.step(longest=0.0)
