"""What a process has and had of memory, on Linux."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int | str = "self") -> int:
    """Bytes of the process's resident set."""
    return _status(pid, "VmRSS")


def anonymous(pid: int | str = "self") -> int:
    """Bytes of it that are the process's own, and no file's."""
    return _status(pid, "RssAnon")


def peak(pid: int | str = "self") -> int:
    """The most that it ever was."""
    return _status(pid, "VmHWM")


def mapped_libraries(pid: int | str = "self") -> set[str]:
    """Paths of the shared libraries in the process's memory, Python's extensions among them."""
    fields = [line.split(maxsplit=5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    mapped = {line[5] for line in fields if len(line) == 6}
    return {path for path in mapped if ".so" in Path(path).name}


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they did."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [*children, *(found for child in children for found in descendants(child))]


def _status(pid: int | str, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
