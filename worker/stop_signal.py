"""SIGTERM as a trainer takes it: a wish to stop, heeded where its state can be kept.

Nothing is interrupted: a report half written would be none, a step half done no state. Whoever
works looks now and then. A trainer that does not look in time is killed, and its job goes on
from its last checkpoint.
"""

from __future__ import annotations

import signal
from types import FrameType


class StopRequested(Exception):
    """The trainer was asked to stop, and now is a good moment."""


class StopSignal:
    """Whether somebody asked. `install` it in the main thread of a process of its own."""

    def __init__(self) -> None:
        self.is_set = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._note)

    def set(self) -> None:
        self.is_set = True

    def check(self) -> None:
        """Raises StopRequested if somebody asked."""
        if self.is_set:
            raise StopRequested

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.set()
