"""The whole service on one machine: API, inference and one worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import httpx

from cli.binding import check_start
from cli.prepare import prepare
from cli.processes import Child
from core.settings import Settings
from worker.environment import child_environment

READY_SECONDS = 120.0  # for all processes to answer; torch is slow to load on a cold disk
_LOOK_EVERY = 0.2  # seconds


class NotReady(Exception):
    """A part of the service did not start, saying which and where its log is."""


class Service:
    """Three child processes and the settings they share. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = settings.local_address
        logs = settings.data_dir.resolve() / "logs"
        environment = child_environment(settings)
        self.children = [
            Child(name, [command], logs / f"{name}.log", environment)
            for name, command in (
                ("api", "api"),
                ("inference", "serve-models"),
                ("worker", "worker"),
            )
        ]

    def __enter__(self) -> Service:
        prepare(self.settings)
        check_start(self.settings)  # the API would refuse too, but in its log
        for child in self.children:
            child.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def api_key(self) -> str:
        return self.settings.api_key_path.read_text(encoding="utf-8").strip()

    def run(self, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        """Restart what dies until `stopping` says so."""
        while not stopping():
            for child in self.children:
                if sentence := child.watch():
                    say(sentence)
            time.sleep(_LOOK_EVERY)

    def stop(self) -> None:
        """The worker first, so that it can give its jobs back while all else still runs."""
        for child in reversed(self.children):
            child.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = {
            "api": f"{self.address}/healthz",
            "inference": f"{self.settings.resolved_serving_url}/healthz",
        }
        while waiting:
            for name, url in list(waiting.items()):
                if _answers(url):
                    del waiting[name]
            for child in self.children:
                if child.process is not None and child.process.poll() is not None:
                    raise NotReady(f"the {child.name} process ended at once; see {child.log}")
            if time.monotonic() > deadline:
                missing = ", ".join(waiting)
                raise NotReady(f"{missing} did not answer within {READY_SECONDS:.0f} s")
            time.sleep(_LOOK_EVERY)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.TransportError:
        return False
