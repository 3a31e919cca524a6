"""The trainer's side of the pipe to its supervisor."""

from __future__ import annotations

import os
import threading
import time

import structlog
from pydantic import BaseModel

from core.jobs.messages import Event, Failed, Phase, Progress, encode
from worker.stop_signal import StopSignal

# Share of a whole job that each phase usually takes: no job both trains and combines. Only the
# progress bar depends on it.
_SHARES: dict[Phase, float] = {
    "preparing": 0.05,
    "zero_shot": 0.10,
    "training": 0.60,
    "combining": 0.60,
    "evaluating": 0.20,
    "exporting": 0.05,
}
_INTERVAL = 0.5  # seconds between two progress lines


class SupervisorGone(Exception):
    """Nobody reads the pipe any more: the trainer has no owner and must stop."""


class Reporter:
    """Writes `core.jobs.messages` to the supervisor, one line each. For several threads, but for
    `within`."""

    def __init__(self, descriptor: int, stop: StopSignal | None = None) -> None:
        self.stop = stop or StopSignal()
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._last_progress = 0.0
        self._done: dict[Phase, float] = {}
        self._phase: Phase | None = None
        self._printed_phase: Phase | None = None
        self._log = structlog.get_logger("trainer")

    def send(self, message: BaseModel) -> None:
        """Raises `SupervisorGone` when the pipe is closed at the other end."""
        line = memoryview(encode(message))
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except BrokenPipeError as fault:
                raise SupervisorGone from fault
        self._print(message)

    def event(self, message: str, **data: object) -> None:
        self.send(Event(message=message, data=data or None))

    def warn(self, message: str, **data: object) -> None:
        self.send(Event(level="warn", message=message, data=data or None))

    def within(self, phase: Phase, done: float, step: int = 0, total_steps: int = 0) -> None:
        """`done` of a phase's work, 0 to 1, is behind us, over all seeds.

        At most one line per interval unless the phase changes or is done; the fraction never falls.
        Raises `StopRequested` where that may be: not in training, whose state is to be kept first.
        """
        if phase != "training":
            self.stop.check()
        self._done[phase] = max(self._done.get(phase, 0.0), min(1.0, done))
        now = time.monotonic()
        if phase == self._phase and done < 1.0 and now - self._last_progress < _INTERVAL:
            return
        self._phase, self._last_progress = phase, now
        fraction = sum(_SHARES[name] * share for name, share in self._done.items())
        elapsed = now - self._started
        self.send(
            Progress(
                phase=phase,
                step=step,
                total_steps=total_steps,
                fraction=min(1.0, fraction),
                remaining_seconds=elapsed * (1 - fraction) / fraction if fraction else None,
            )
        )

    def _print(self, message: BaseModel) -> None:
        """Into the job's log as well: what a person reads there in order."""
        if isinstance(message, Event):
            log = self._log.warning if message.level != "info" else self._log.info
            log(message.message)
        elif isinstance(message, Progress) and message.phase != self._printed_phase:
            self._printed_phase = message.phase
            self._log.info(f"phase: {message.phase}")
        elif isinstance(message, Failed):
            self._log.error(message.message, reason=message.reason)


class SilentReporter(Reporter):
    """Of a process whose fellow reports what both do."""

    def __init__(self) -> None:
        super().__init__(-1)

    def send(self, message: BaseModel) -> None:
        pass
