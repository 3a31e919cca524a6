"""Small disks that can be filled: a tmpfs each, where one may be mounted."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20
_PIECE = b"\0" * 4096


class Disk:
    """A directory, on a file system of its own where that may be (`is_own`)."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.is_own = directory.is_mount() or _mount(directory, size)
        self._blocker = directory / ".full"

    def fill(self) -> None:
        """Leaves no byte free of a disk of its own."""
        if not self.is_own:
            raise RuntimeError(f"{self.directory} is on a disk that others use")
        with suppress(OSError), self._blocker.open("wb", buffering=0) as file:
            room = os.statvfs(self.directory)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
            file.seek(0, os.SEEK_END)
            while file.write(_PIECE):  # what has been freed meanwhile
                pass

    def free(self) -> None:
        self._blocker.unlink(missing_ok=True)

    def close(self) -> None:
        if self.directory.is_mount():
            subprocess.run(["umount", "-l", str(self.directory)], check=False)


def _mount(directory: Path, size: int) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
