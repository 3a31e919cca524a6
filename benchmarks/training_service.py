"""The API and a worker as processes, on the demo's base and images: jobs that really train."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from benchmarks.memory import descendants
from benchmarks.traced_trainer import FOLDER
from cli.prepare import prepare
from core.settings import Settings
from tests.api_process import ROOT, start
from tests.services import free_port
from worker.environment import child_environment

METHOD = "lipsum_ft"
BASE = "base:demo"
JOB_SECONDS = 1800.0  # for any job to end
_POLL = 0.1
_LOOK = (
    2.0  # between looks at a job: each takes time from it, and its transitions say when it ended
)
_QUIET = 1.0  # seconds without any of the worker's processes using the processors

Knobs = Mapping[str, Any]


@dataclass(frozen=True)
class TrainingService:
    """The service, and the file whose images jobs train on."""

    settings: Settings
    client: OpenAI
    file_id: str
    traces: Path
    worker: subprocess.Popen[bytes]

    def submit(self, knobs: Knobs) -> FineTuningJob:
        """A job of the demo's base without interpolations, always of the same seed."""
        method: Any = {"type": METHOD, METHOD: {"hyperparameters": dict(knobs)}}
        return self.client.fine_tuning.jobs.create(
            model=BASE,
            training_file=self.file_id,
            method=method,
            seed=0,
            extra_body={"evaluation": {"alphas": []}},
        )

    def finish(self, job: FineTuningJob, status: str = "succeeded") -> FineTuningJob:
        """The job when it has that status. Raises AssertionError when it ends otherwise."""
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            now = self.client.fine_tuning.jobs.retrieve(job.id)
            if now.status in ("succeeded", "failed", "cancelled"):
                assert now.status == status, now.error
                return now
            time.sleep(_LOOK)
        raise TimeoutError(f"{job.id} is not over after {JOB_SECONDS:.0f} s")

    def moments(self, job: FineTuningJob) -> dict[str, float]:
        """What the job's trainer wrote down, when its first step is done."""
        path, deadline = self.traces / job.id, time.monotonic() + JOB_SECONDS
        while not path.is_file():
            assert time.monotonic() < deadline, f"{job.id} has not begun to train"
            time.sleep(_POLL)
        found: dict[str, float] = json.loads(path.read_text())
        return found

    def await_rest(self) -> None:
        """Returns when the worker and what it started have nothing to do: what waits for a job
        then has loaded all that it loads."""
        rested, before = time.monotonic(), self._processor_seconds()
        while time.monotonic() - rested < _QUIET:
            time.sleep(_POLL)
            now = self._processor_seconds()
            if now > before + 0.05 * _POLL * 2:
                rested = time.monotonic()
            before = now

    def _processor_seconds(self) -> float:
        pids = [self.worker.pid, *descendants(self.worker.pid)]
        return sum(_schedule(pid) for pid in pids) / 1e9


@contextmanager
def training_service(
    directory: Path, archive: Path, variables: Mapping[str, str], **overrides: Any
) -> Iterator[TrainingService]:
    """The service for the block's duration, with the archive uploaded. Its processes also have
    these environment variables."""
    (traces := directory / "traces").mkdir(parents=True)
    values: dict[str, Any] = {"port": free_port(), "serving_port": 9, "device": "cpu", **overrides}
    settings = Settings(data_dir=directory / "data", **values)
    prepare(settings)
    environment = {**child_environment(settings), **variables, FOLDER: str(traces)}
    with ExitStack() as stack, (directory / "worker.log").open("wb") as log:
        api = start(settings)
        stack.callback(_stop, api)
        command = [sys.executable, "-m", "benchmarks.traced_worker"]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        stack.callback(_stop, worker)
        client = OpenAI(
            base_url=f"http://127.0.0.1:{settings.port}/v1",
            api_key=settings.api_key_path.read_text(encoding="utf-8").strip(),
        )
        with archive.open("rb") as content:
            file = client.files.create(file=(archive.name, content), purpose="fine-tune")
        yield TrainingService(settings, client, file.id, traces, worker)


def _schedule(pid: int) -> int:
    """Nanoseconds that the process's threads ran; 0 for one that is gone."""
    found = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            found += int(task.read_text().split()[0])
        except OSError:
            continue
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)
