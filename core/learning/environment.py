"""Where a run computes: what must be equal for two runs to round alike."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from core.learning.processes import Processes

Facts = dict[str, str | int]


def environment(device: torch.device, processes: int | None = None) -> Facts:
    """Library versions, threads and processors of this process, on this device, and how many such
    `processes` share a step, where that is to be known before they have met."""
    found: Facts = {
        "lipsum": version("lipsum"),
        "torch": torch.__version__,
        "open_clip": version("open_clip_torch"),
        "numpy": version("numpy"),
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    count = Processes.current().count if processes is None else processes
    if count > 1:
        found["processes"] = count
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
        found["cuda"] = torch.version.cuda or ""
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
