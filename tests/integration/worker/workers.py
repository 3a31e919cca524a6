"""A worker as a process, and bounded waits for what it writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.records import events, jobs
from core.records.engine import Database
from core.records.tables import Job, JobEvent
from core.settings import Settings
from tests.api_service import prepare_database
from tests.services import Overrides
from worker.environment import child_environment

Found = TypeVar("Found")
PATIENCE = 20.0  # seconds any one thing may take; nothing waits this long when all is well
HOUR = 3600.0


def make_settings(tmp_path: Path, of_database: Overrides, **changes: Any) -> Settings:
    """A data directory of its own and a migrated database. Polls and sweeps once an hour."""
    values: dict[str, Any] = {"poll_seconds": HOUR, "sweep_seconds": HOUR, **of_database()}
    settings = Settings(data_dir=tmp_path / "data", stop_grace_seconds=0.5, **{**values, **changes})
    prepare_database(settings)
    return settings


class Worker:
    """A running `lipsum worker`."""

    def __init__(
        self, settings: Settings, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """In an environment other than the settings' own, when one is given."""
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).parent / "run_worker.py")],
                env=dict(environment or child_environment(settings)),
                stdout=output,
                stderr=output,
            )
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def consumer_pid(self) -> int:
        """The newest consumer's process id."""
        return self.wait_for_log("consumer started")

    def wait_for_log(self, words: str) -> int:
        """Waits for a line of the log; its pid."""

        def find() -> int | None:
            lines = [line for line in self._log.read_text().splitlines() if words in line]
            return int(lines[-1].rsplit("pid=", 1)[1].split()[0]) if lines else None

        return wait_for(find)

    def wait_until_ready(self) -> None:
        """The consumer is connected to the broker."""
        wait_for(lambda: "ready." in self._log.read_text() or None)

    def stop(self) -> int:
        """Ends it as a deployment would; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def running(
    settings: Settings,
    tmp_path: Path,
    name: str = "worker",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Worker]:
    """A worker for as long as the block lasts; its log is printed when the block fails."""
    log = tmp_path / f"{name}.log"
    worker = Worker(settings, log, environment)
    try:
        yield worker
    except BaseException:
        print(log.read_text())
        raise
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait(PATIENCE)


def wait_for(find: Callable[[], Found | None], seconds: float = PATIENCE) -> Found:
    """What `find` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {seconds} s")


def wait_for_status(database: Database, job: Job, *statuses: str) -> Job:
    """The job, once its status is one of these."""

    def find() -> Job | None:
        with database.read() as session:
            found = jobs.get(session, job.project_id, job.id)
        return found if found.status in statuses else None

    return wait_for(find)


def wait_for_trainer(database: Database, job: Job, number: int = 1) -> int:
    """The process id of the job's n-th trainer, as its events tell it."""

    def find() -> int | None:
        found = [event for event in read_events(database, job) if "tiny trainer" in event.message]
        return int((found[number - 1].data or {})["pid"]) if len(found) >= number else None

    return wait_for(find)


def read_events(database: Database, job: Job) -> list[JobEvent]:
    with database.read() as session:
        return events.list_events(session, job.project_id, job.id, limit=1000).items


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
