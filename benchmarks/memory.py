"""What a process has and had of memory, on Linux."""

from __future__ import annotations

from pathlib import Path


def resident(pid: str) -> int:
    """Bytes of the process's resident set."""
    return _status(pid, "VmRSS")


def peak(pid: str) -> int:
    """The most that it ever was."""
    return _status(pid, "VmHWM")


def _status(pid: str, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
