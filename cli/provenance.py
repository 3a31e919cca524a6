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
    with suppress(OSError, subprocess.CalledProcessError):
        answer = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            capture_output=True,
            check=True,
            text=True,
        )
        return answer.stdout.strip()
    return None
