"""What figures depend on beside the code: the machine, the versions, what else was going on."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.databases import postgresql_version


def machine() -> dict[str, Any]:
    """Of the machine what does not name it."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "processor": _processor(),
        **_gpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgresql_version(),
    }


def _gpu() -> dict[str, str]:
    """Without torch, which takes seconds and memory of a benchmark's process."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    return {
        "gpu": subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    }


def load() -> list[float]:
    """Processes that ran or wanted to, on average over the last minute, five and fifteen."""
    return [round(value, 2) for value in os.getloadavg()]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
