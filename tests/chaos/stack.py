"""The whole service on real servers: PostgreSQL, Redis, an S3 server, the API, three workers.

Each worker is a machine of its own, as far as one machine can be several: a data directory on a
disk of its own, relays of its own to the database and the store, a clock of its own.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from cli.prepare import prepare
from core.bases import register_directory
from core.learning.models import save_directory
from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings
from tests.builders import tiny_clip
from tests.chaos.clocks import Clock
from tests.chaos.disks import MIB, Disk
from tests.chaos.processes import MARK, Keeper, Kept, children, end_marked, wait_until
from tests.chaos.wire import Relay, Request
from tests.s3_server import S3Server, SwiftServer
from tests.services import PostgresqlServer, RedisServer, free_port
from tests.trainers import attempt_directory
from worker.environment import child_environment

LEASE = 6.0  # seconds
BUCKET = "chaos"
COMMON: dict[str, Any] = {
    "device": "cpu",
    "serving_port": 9,  # nobody listens: no inference here
    "trainer_threads": 1,  # of the calm run too: sums of more threads are other sums
    "log_level": "info",
}
TROUBLED: dict[str, Any] = {
    "lease_seconds": LEASE,
    "sweep_seconds": 1.0,
    "poll_seconds": 1.0,
    "checkpoint_seconds": 0.5,
    "stop_grace_seconds": 10.0,
    "stall_seconds": 120.0,
    "max_attempts": 100,
}


@dataclass
class Worker:
    """One worker and what stands between it and the rest."""

    number: int
    settings: Settings
    kept: Kept
    database_line: Relay
    store_line: Relay
    disk: Disk
    clock: Clock

    @property
    def pid(self) -> int | None:
        """The supervisor's."""
        return self.kept.pid

    def child(self, module: str) -> int | None:
        """A child of the supervisor."""
        pid = self.pid
        if pid is None:
            return None
        return next((child for child, words in children(pid) if module in words), None)

    def trainer(self) -> int | None:
        """A trainer of its that is at work."""
        pid = self.pid
        if pid is None:
            return None
        found = (child for child, _ in children(pid) if attempt_directory(child) is not None)
        return next(found, None)


class Stack:
    """Make it (skips where a server is not installed), `start` it, and `stop` it whatever happens.

    The folder is one that the database's user can reach, as it can the temporary directory.
    """

    def __init__(self, folder: Path, *, workers: int = 3) -> None:
        self.folder = folder
        end_marked(folder)
        self._n_workers = workers
        for name in ("postgresql", "redis", "swift", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder, folder / "postgresql"):
            path.chmod(0o755)  # the database's user passes through
        os.environ[MARK] = str(folder)
        self.postgresql = PostgresqlServer(folder / "postgresql")
        self.redis = RedisServer(folder / "redis")
        self.swift = SwiftServer(folder / "swift")
        self.store_disk = Disk(folder / "swift" / "disks", 1024 * MIB)
        (self.store_disk.directory / "d1").mkdir(exist_ok=True)  # Swift's own, on that disk
        self.spool_disk = Disk(folder / "api" / "spool", 16 * MIB)
        self.workers: list[Worker] = []
        self._later: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self, on_request: Callable[[Worker, Request], None]) -> None:
        self.postgresql.start()
        self.redis.start()
        server = self.swift.start()
        with suppress(Exception):  # there already, in a run that goes on
            server.make_bucket(BUCKET)
        shared = {
            "broker_url": self.redis.url,
            "object_store_url": f"s3://{BUCKET}/lipsum",
            **COMMON,
            **TROUBLED,
        }
        self.settings = Settings(
            data_dir=self.folder / "api",
            database_url=self.postgresql.url,
            port=free_port(),
            **{**server.settings(), **shared},
        )
        prepare(self.settings)
        self.database = Database(self.postgresql.url)
        self.store = ObjectStore.from_settings(self.settings)
        register_tiny(self.database, self.store, self.folder)
        self.api = Kept(
            "api",
            ["-m", "cli.main", "api"],
            child_environment(self.settings),
            self.folder / "logs" / "api.log",
        )
        self.workers = [
            self._worker(number, server, shared, on_request)
            for number in range(1, self._n_workers + 1)
        ]
        self._keeper = Keeper([self.api, *(worker.kept for worker in self.workers)])
        self._keeper.start()
        wait_until(self.answers, 120, "the API")

    def answers(self) -> bool:
        """Whether the API does."""
        try:
            url = f"http://127.0.0.1:{self.settings.port}/healthz"
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def is_whole(self) -> bool:
        """Whether all that everybody shares runs."""
        servers = (self.postgresql.process, self.redis.process)
        return all(servers) and bool(self.swift.pids)

    @property
    def key(self) -> str:
        return self.settings.api_key_path.read_text(encoding="utf-8").strip()

    def client(self) -> OpenAI:
        """The SDK, which does not try again by itself: whoever asks decides."""
        address = f"http://127.0.0.1:{self.settings.port}/v1"
        return OpenAI(base_url=address, api_key=self.key, max_retries=0, timeout=20)

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Does it after so many seconds, or at the end."""

        def run() -> None:
            self._stopping.wait(seconds)
            work()

        thread = threading.Thread(target=run)
        self._later.append(thread)
        thread.start()

    def calm_down(self) -> None:
        """Waits until everything that was stopped runs again."""
        self._stopping.set()
        for thread in self._later:
            thread.join()
        self._later.clear()
        self._stopping.clear()
        wait_until(self.answers, 120, "the API")

    def stop_service(self) -> None:
        """The API and the workers in order; the servers stay."""
        self._keeper.stop()

    def stop(self, *, keep_disks: bool = False) -> None:
        """Everything. `keep_disks` for a run that is to go on."""
        self._stopping.set()
        for thread in self._later:
            with suppress(Exception):
                thread.join()
        if self.workers:
            for worker in self.workers:
                with suppress(OSError, TypeError):
                    os.kill(worker.trainer(), signal.SIGCONT)  # type: ignore[arg-type]
            self._keeper.stop()
            self.database.close()
            for worker in self.workers:
                worker.database_line.close()
                worker.store_line.close()
        self.swift.stop()
        self.redis.stop()
        self.postgresql.stop()
        end_marked(self.folder)
        os.environ.pop(MARK, None)
        if not keep_disks:
            for disk in (self.store_disk, self.spool_disk, *(w.disk for w in self.workers)):
                disk.close()

    def _worker(
        self,
        number: int,
        server: S3Server,
        shared: dict[str, Any],
        on_request: Callable[[Worker, Request], None],
    ) -> Worker:
        database_line, store_line = Relay(self.postgresql.port), Relay(self.swift.port)
        directory = self.folder / f"worker-{number}"
        own = {
            **server.settings(),
            "s3_endpoint": f"http://127.0.0.1:{store_line.port}",
            "database_url": self.postgresql.url.replace(
                f":{self.postgresql.port}/", f":{database_line.port}/"
            ),
        }
        settings = Settings(data_dir=directory, **{**shared, **own})
        disk = Disk(directory / "cache", 128 * MIB)
        clock = Clock(directory / "clock")
        environment = clock.variables(child_environment(settings))
        log = self.folder / "logs" / f"worker-{number}.log"
        kept = Kept(f"worker-{number}", ["-m", "tests.chaos.worker"], environment, log)
        worker = Worker(number, settings, kept, database_line, store_line, disk, clock)
        for line in (database_line, store_line):
            line.on_request = lambda request: on_request(worker, request)
        return worker


def register_tiny(database: Database, store: ObjectStore, folder: Path) -> None:
    """`base:tiny`, whose weights are the same wherever it is made."""
    save_directory(tiny_clip(), folder / "tiny")
    register_directory(database, store, "tiny", folder / "tiny")
