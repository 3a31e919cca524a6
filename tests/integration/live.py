"""A live service's processes, and bounded waits for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from openai import OpenAI

from cli.service import Service

PATIENCE = 120.0  # seconds for a phase to be reached; nothing here asserts how long it took


def pid_of(parent: int, module: str) -> int | None:
    """The living child of `parent` whose command line names a module."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in children:
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if module.encode() in command:
            return int(child)
    return None


def until(found: Callable[[], object]) -> object:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("did not happen")


def supervisor_pid(service: Service) -> int:
    process = next(child.process for child in service.children if child.name == "worker")
    assert process is not None
    return process.pid


def step_of(client: OpenAI, job_id: str) -> int:
    """The step a job stands at; it must not have failed."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert job.status not in ("failed", "cancelled"), job.error
    progress = (job.model_extra or {}).get("progress") or {}
    return int(progress.get("step") or 0)
