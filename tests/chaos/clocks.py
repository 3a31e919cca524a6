"""A machine's time of day, which may be put wrong."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent / "clock"  # of the sitecustomize that Python imports by itself


class Clock:
    """Of the processes that were started with its variables, and of all they start."""

    def __init__(self, file: Path, offset: float = 0.0) -> None:
        """`offset` in seconds from the real time of day."""
        self._file = file
        file.write_bytes(struct.pack("d", offset))

    def set(self, offset: float) -> None:
        """Moves the clock of the processes that run."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", offset))

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """That environment for a process that goes by this clock."""
        path = f"{_FOLDER}{os.pathsep}{environment.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        return {**environment, "CHAOS_CLOCK": str(self._file), "PYTHONPATH": path}
