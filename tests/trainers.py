"""Which of a supervisor's children is a trainer at work."""

from __future__ import annotations

import os
from pathlib import Path

from worker.trainer_process import LOG_NAME


def attempt_directory(pid: int) -> Path | None:
    """Of the attempt that a trainer prints to the log of; None for one that still waits for an
    attempt, for any other process, and for one that is gone."""
    try:
        output = Path(os.readlink(f"/proc/{pid}/fd/1"))
    except OSError:
        return None
    return output.parent if output.name == LOG_NAME else None


def trainer_of(supervisor: int) -> int | None:
    """The process id of a trainer at work."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next((int(pid) for pid in children if attempt_directory(int(pid)) is not None), None)
