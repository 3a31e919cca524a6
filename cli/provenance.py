"""What a reader needs to repeat a measurement: the code and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress


def machine() -> str:
    """The GPU's name, or the processor's kind and cores."""
    import torch  # seconds, which who asks for the commit alone need not wait

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}, no GPU"


def commit() -> str | None:
    """The checkout's commit; None where this does not run from one."""
    return _git("rev-parse", "--short=12", "HEAD")


def changed_files() -> list[str]:
    """Files of the repository that are not as that commit has them: it does not give the code again
    that was measured. Results do not count, which are written meanwhile."""
    found = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/docs/results")
    return [line[2:].strip() for line in (found or "").splitlines()]


def _git(*arguments: str) -> str | None:
    with suppress(OSError, subprocess.CalledProcessError):
        answer = subprocess.run(
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            check=True,
            text=True,
        )
        return answer.stdout.rstrip()
    return None
