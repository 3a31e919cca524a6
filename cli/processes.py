"""Child processes of `lipsum up`: started, watched, restarted, stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FIRST_PAUSE = 1.0  # seconds before a process that died is started again
LONGEST_PAUSE = 30.0  # seconds; the pause doubles with each death up to this
CALM = 60.0  # seconds of life after which a death counts as the first again
STOP_GRACE = 30.0  # seconds between SIGTERM and SIGKILL: a worker saves what it trains


@dataclass
class Child:
    """One process: `lipsum COMMAND`, its output in a log file."""

    name: str
    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    restart_at: float = 0.0
    deaths: int = field(default=0)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,  # Ctrl-C reaches `up` alone, which stops in order
            )
        self.started_at = time.monotonic()

    def watch(self) -> str | None:
        """Restart the process if it died; a sentence when something happened."""
        if self.process is None:
            if time.monotonic() >= self.restart_at:
                self.start()
                return f"{self.name} started again"
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.deaths += 1
        calm = time.monotonic() - self.started_at > CALM
        self.pause = FIRST_PAUSE if calm else min(self.pause * 2, LONGEST_PAUSE)
        self.restart_at = time.monotonic() + self.pause
        self.process = None
        return f"{self.name} ended ({_ending(code)}); started again in {self.pause:.0f} s"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
