"""How threads, and the kernel with signals, end the wait of the supervisor's loop."""

from __future__ import annotations

import os
from contextlib import suppress

_WAKE = b"\x00"  # never a signal's number


class Waker:
    """A pipe to one's own loop, written by threads and by the kernel for signals."""

    def __init__(self) -> None:
        self.pipe, self.writer = os.pipe()
        for descriptor in (self.pipe, self.writer):
            os.set_blocking(descriptor, False)

    def wake(self) -> None:
        with suppress(BlockingIOError):  # full of wakes: one more says nothing new
            os.write(self.writer, _WAKE)

    def drain(self) -> bool:
        """Whether there was a wake and not only signals."""
        woken = False
        with suppress(BlockingIOError):
            while data := os.read(self.pipe, 4096):
                woken |= _WAKE in data
        return woken

    def close(self) -> None:
        os.close(self.pipe)
        os.close(self.writer)
