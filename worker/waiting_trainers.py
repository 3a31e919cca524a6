"""The trainers that wait for a job, one for each free slot, as their supervisor keeps them.

Most of what passes between a job's submission and its first step would be spent on loading torch
and what is built on it; a trainer that waits has done so before. It is a convenience: whatever
becomes of it, a job's trainer can be started as if there were none.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.settings import Settings
from worker.clock import Clock
from worker.environment import trainer_environment
from worker.spawn import Spawned, spawn
from worker.waiting import WAITING, order

FIRST_PAUSE = 1.0  # seconds before one that died is replaced; doubles each time
LONGEST_PAUSE = 60.0
HEALTHY_SECONDS = 60.0  # one that waited this long is replaced as if for the first time


class WaitingTrainer:
    """Started by the constructor, as `worker.spawn` says."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Raises OSError."""
        self._spawned = spawn(command, [WAITING], environment, stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self._spawned.process.pid

    def has_died(self) -> bool:
        return self._spawned.process.poll() is not None

    def hand_over(self, arguments: Sequence[str], log: Path) -> Spawned | None:
        """The trainer of the attempt with these arguments, which prints to `log`; None, with
        nothing left of this one, when it is dead."""
        stdin = self._spawned.process.stdin
        assert stdin is not None
        try:
            with stdin:
                stdin.write(order(arguments, log))
        except BrokenPipeError:
            self.close()
            return None
        return self._spawned

    def close(self) -> None:
        """Kills it and frees its pipes."""
        process = self._spawned.process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        os.close(self._spawned.reports)


@dataclass
class _Slot:
    """What waits for the slot, and when something that died is replaced."""

    trainer: WaitingTrainer | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE


class WaitingTrainers:
    """Those of one worker. `step` when slots were taken or left, or a child has died."""

    def __init__(self, settings: Settings, command: Sequence[str], clock: Clock) -> None:
        self._settings = settings
        self._command = command
        self._clock = clock
        count = settings.worker_slots if settings.warm_trainers else 0
        self._slots = {number: _Slot(start_at=clock.now()) for number in range(count)}
        self._log = structlog.get_logger()

    @property
    def pids(self) -> dict[int, int]:
        """Of those that wait, by slot."""
        return {n: slot.trainer.pid for n, slot in self._slots.items() if slot.trainer is not None}

    def step(self, free: Collection[int]) -> None:
        """Starts what is missing in the free slots, after a pause where the last one died."""
        for number, slot in self._slots.items():
            if slot.trainer is not None and slot.trainer.has_died():
                self._bury(slot, slot.trainer)
            if slot.trainer is None and number in free and self._clock.now() >= slot.start_at:
                self._start(number, slot)

    def next_due(self, free: Collection[int]) -> float | None:
        """When `step` has something to do; None where it has not."""
        missing = [n for n in self._slots if n in free and self._slots[n].trainer is None]
        return min((self._slots[number].start_at for number in missing), default=None)

    def take(self, number: int) -> WaitingTrainer | None:
        """What waits for the slot, if anything does; it is the caller's from here on."""
        slot = self._slots.get(number)
        if slot is None or slot.trainer is None:
            return None
        trainer, slot.trainer = slot.trainer, None
        return trainer

    def close(self) -> None:
        """Kills them all; none is started any more."""
        for slot in self._slots.values():
            if slot.trainer is not None:
                slot.trainer.close()
        self._slots.clear()

    def _start(self, number: int, slot: _Slot) -> None:
        slot.started_at = self._clock.now()
        environment = trainer_environment(self._settings, number)
        try:
            slot.trainer = WaitingTrainer(self._command, environment)
        except OSError as error:
            self._log.warning("no trainer waits", slot=number, error=error.strerror)
            self._put_off(slot)
            return
        self._log.info("trainer waits", slot=number, pid=slot.trainer.pid)

    def _bury(self, slot: _Slot, trainer: WaitingTrainer) -> None:
        trainer.close()
        slot.trainer = None
        if self._clock.now() - slot.started_at >= HEALTHY_SECONDS:
            slot.pause = FIRST_PAUSE
        self._log.warning("waiting trainer died", pid=trainer.pid, restart_seconds=slot.pause)
        self._put_off(slot)

    def _put_off(self, slot: _Slot) -> None:
        slot.start_at = self._clock.now() + slot.pause
        slot.pause = min(2 * slot.pause, LONGEST_PAUSE)
