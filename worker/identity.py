"""Who a worker is, the same after a restart and never the same as a worker that is running.

A restarted worker may take its own leases back at once, without waiting for them to expire, but
only if nobody else can be mistaken for it. A name is a locked file in the data directory: the
kernel frees the lock when its holder dies, and a second worker there takes the next file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path
from types import TracebackType

_MOST_WORKERS = 1000  # in one data directory: more means that something is wrong


class Identity:
    """A worker's name while it runs. Close it, or die, to give the name up."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptor, self.owner = _take_name(directory)
        self.boot_id = secrets.token_hex(8)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Identity:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _take_name(directory: Path) -> tuple[int, str]:
    for number in range(_MOST_WORKERS):
        # Not inheritable (O_CLOEXEC), so that a child cannot keep the name of a dead worker.
        descriptor = os.open(directory / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return descriptor, _read_name(descriptor)
    raise RuntimeError(f"{_MOST_WORKERS} workers run in {directory}; start this one elsewhere")


def _read_name(descriptor: int) -> str:
    """The file's own random name, since host names repeat among containers."""
    name = os.pread(descriptor, 256, 0).decode()
    if name:
        return name
    name = f"{socket.gethostname()[:64]}-{secrets.token_hex(4)}"
    os.pwrite(descriptor, name.encode(), 0)
    return name
