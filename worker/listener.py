"""The supervisor's ear: starts the Celery consumer, and again whenever it dies.

Whatever happens to the consumer or its broker, the supervisor only ever loses the doorbell.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import structlog

from core.settings import Settings
from worker.clock import Clock
from worker.environment import child_environment

FIRST_PAUSE = 1.0  # seconds before the first restart; doubles each time
LONGEST_PAUSE = 60.0
HEALTHY_SECONDS = 60.0  # a consumer that lived this long is restarted as if for the first time
_STOP_SECONDS = 2.0
_WATCH_SECONDS = 5.0  # between looks, should the signal of its death be missed


class Listener:
    """`step` when it is due or a child has died. `pipe` is where rings can be read."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.pipe, self._theirs = os.pipe()
        os.set_blocking(self.pipe, False)
        self._settings = settings
        self._clock = clock
        self._consumer: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = clock.now()
        self._pause = FIRST_PAUSE
        self._log = structlog.get_logger()

    def step(self) -> None:
        """Starts the consumer if it is time to."""
        if self._consumer is not None and self._consumer.poll() is not None:
            self._bury(self._consumer)
        if self._consumer is None and self._clock.now() >= self._start_at:
            self._start()

    def next_due(self) -> float:
        """When `step` has something to do."""
        return self._start_at if self._consumer is None else self._clock.now() + _WATCH_SECONDS

    def drain(self) -> None:
        """Takes the rings out of the pipe."""
        with suppress(BlockingIOError):
            while os.read(self.pipe, 4096):
                pass

    def close(self) -> None:
        """Stops the consumer. It holds nothing that could be lost."""
        if self._consumer is not None:
            self._consumer.kill()
            self._consumer.wait(_STOP_SECONDS)
        os.close(self.pipe)
        os.close(self._theirs)

    def _start(self) -> None:
        command = (sys.executable, "-m", "worker.consumer")
        self._started_at = self._clock.now()
        self._consumer = subprocess.Popen(
            [*command, "--pipe-fd", str(self._theirs), "--parent", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._theirs,),
            start_new_session=True,  # a Ctrl-C at the terminal is for the supervisor to pass on
            env=child_environment(self._settings),
        )
        self._log.info("consumer started", pid=self._consumer.pid)

    def _bury(self, consumer: subprocess.Popen[bytes]) -> None:
        now = self._clock.now()
        if now - self._started_at >= HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE
        self._log.warning(
            "consumer died", exit_code=consumer.returncode, restart_seconds=self._pause
        )
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._consumer = None
