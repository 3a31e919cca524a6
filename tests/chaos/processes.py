"""The service's processes: started in groups of their own, started again when they die, and ended
by id at the end, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "CHAOS_RUN"  # in the environment of everything a run starts
RESTART_SECONDS = 0.7  # before what died is started again
STOP_SECONDS = 40.0


@dataclass
class Kept:
    """One process that is started again when it dies."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restart_at: float = 0.0
    deaths: int = field(default=0)

    @property
    def pid(self) -> int | None:
        """Of the living process."""
        process = self.process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def watch(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            self.process = None
            self.deaths += 1
            self.restart_at = time.monotonic() + RESTART_SECONDS
        elif self.process is None and time.monotonic() >= self.restart_at:
            self.start()

    def stop(self) -> None:
        """SIGTERM, time to hand over, SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Keeper:
    """What `lipsum up` or systemd does: starts again what dies."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self._kept = kept
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        for one in self._kept:
            one.start()
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        for one in self._kept:
            one.stop()

    def _run(self) -> None:
        while not self._done.wait(0.1):
            for one in self._kept:
                one.watch()


def children(pid: int) -> list[tuple[int, list[str]]]:
    """Living children of a process, with their command lines."""
    found = []
    with suppress(OSError):
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                command = Path(f"/proc/{word}/cmdline").read_bytes().decode("utf-8", "replace")
                if command:
                    found.append((int(word), command.rstrip("\0").split("\0")))
    return found


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def marked(run: Path) -> dict[int, str]:
    """Every process that this run started and that lives, with its command line."""
    mark, found = f"{MARK}={run}".encode(), {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    if is_alive(int(entry.name)):
                        found[int(entry.name)] = command.decode("utf-8", "replace").strip()
    return found


def end_marked(run: Path) -> None:
    """Kills, by id, whatever an earlier driver of this run left behind."""
    for pid in marked(run):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(met: Callable[[], object], seconds: float, what: str) -> None:
    """Returns when it is met. Raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
