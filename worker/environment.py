"""What the worker's children are told of the settings, and no more than they need."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import SecretStr

from core.settings import Settings

_NOT_FOR_TRAINERS = ("LIPSUM_DATABASE_URL", "LIPSUM_BROKER_URL", "LIPSUM_KEY_SECRET")


def trainer_environment(settings: Settings, slot: int = 0) -> dict[str, str]:
    """A trainer knows no database and no broker, leaves cores to the other slots, and sees its own
    slot's GPUs where they have some of their own."""
    variables = child_environment(settings)
    for name in _NOT_FOR_TRAINERS:
        variables.pop(name, None)
    gpus = settings.worker_gpus.split()
    processes = settings.trainer_processes or (len(gpus[slot].split(",")) if gpus else 1)
    threads = settings.trainer_threads or max(1, _cores() // settings.worker_slots)
    # Equal in all of them: sums are rounded differently by other numbers of threads.
    variables["OMP_NUM_THREADS"] = str(max(1, threads // processes))
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpus[slot]
    if settings.deterministic:
        variables.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses without it
    return variables


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment with exactly these settings, wherever they came from."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("LIPSUM_")
    }
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            variables[f"LIPSUM_{name.upper()}"] = _text(value)
    # A child runs the code this process runs, wherever that was started.
    root = str(Path(__file__).resolve().parents[1])
    inherited = variables.get("PYTHONPATH")
    variables["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else root
    variables["PYTHONUNBUFFERED"] = "1"  # the last lines of a log are those that matter
    # OpenMP threads that spin while they wait make a step several times slower as soon as
    # anything else wants a core (measured: 97 against 200 ms), and gain little when nothing does.
    variables.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return variables


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, tuple):
        return json.dumps(value)
    return str(value)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
