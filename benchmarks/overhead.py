"""What the service adds to a training: a job's wall time beside the same training by itself.

A job lasts from its submission to the moment when its model is published; a worker was idle, with a
trainer that waits, and images are decoded, as those of a second job on a dataset are. In turns with
it `benchmarks.direct_training` does the same steps with the same threads in a process of its own,
of which only the training counts and not the start. That both do the same is checked: accuracies at
every validation are equal.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.training_service import TrainingService, training_service
from core.demo.world import write_archives
from core.learning.recipes import find_recipe
from tests.api_process import ROOT
from worker.environment import trainer_environment

_WARM_UP_STEPS = 20
_EVALUATIONS = 5  # as the recipe has it


def measure(
    seconds: float, pairs: int, train_per_class: int, test_per_class: int
) -> dict[str, Any]:
    """Seconds of jobs that train for about so long, and of the same training by itself."""
    with tempfile.TemporaryDirectory(prefix="lipsum-overhead-") as made:
        folder = Path(made)
        archive = write_archives(
            folder,
            train_per_class=train_per_class,
            test_per_class=test_per_class,
            val_per_class=max(1, train_per_class // 10),
        )["demo"]
        variables = {"PYTHONPYCACHEPREFIX": f"{made}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
        with training_service(folder / "service", archive, variables) as service:
            direct = _Direct(service, archive, folder / "direct", variables)
            _job(service, _knobs(_WARM_UP_STEPS))  # decodes and caches
            short, long = (direct.run(_knobs(n))["seconds"] for n in (10, 10 + _WARM_UP_STEPS))
            steps = max(_EVALUATIONS, round(seconds / max(1e-3, (long - short) / _WARM_UP_STEPS)))
            rows = []
            for number in range(pairs):
                rows.append(_pair(service, direct, _knobs(steps), job_first=number % 2 == 0))
    return {
        "steps": steps,
        "pairs": rows,
        "ratio": statistics.median(row["job"] / row["direct"] for row in rows),
    }


class _Direct:
    """The training by itself, in the environment of the worker's trainers."""

    def __init__(
        self,
        service: TrainingService,
        archive: Path,
        folder: Path,
        variables: Mapping[str, str],
    ) -> None:
        folder.mkdir()
        self._environment = {**trainer_environment(service.settings), **variables}
        self._command = [sys.executable, "-m", "benchmarks.direct_training", archive, folder]

    def run(self, knobs: Mapping[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            [*self._command, json.dumps(dict(knobs))],
            check=True,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=self._environment,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def _pair(
    service: TrainingService, direct: _Direct, knobs: Mapping[str, Any], *, job_first: bool
) -> dict[str, float]:
    if job_first:
        job, alone = _job(service, knobs), direct.run(knobs)
    else:
        alone, job = direct.run(knobs), _job(service, knobs)
    assert job["validations"] == alone["validations"], "they did not train alike"
    return {"job": round(job["seconds"], 2), "direct": round(alone["seconds"], 2)}


def _job(service: TrainingService, knobs: Mapping[str, Any]) -> dict[str, Any]:
    service.await_rest()
    began = time.time()
    job = service.finish(service.submit(knobs))
    (published,) = [
        change["at"]
        for change in (job.model_extra or {})["transitions"]
        if change["to"] == "succeeded"
    ]
    events = service.client.fine_tuning.jobs.list_events(job.id, limit=100)
    (chosen,) = [event.data for event in events if "the best on val" in event.message]
    validations = [[each["step"], each["accuracy"]] for each in chosen["validations"]]  # type: ignore[index]
    service.await_rest()
    return {"seconds": float(published) - began, "validations": validations}


def _knobs(steps: int) -> dict[str, Any]:
    evaluations = min(_EVALUATIONS, steps)
    return find_recipe("demo").hyperparameters | {"n_steps": steps, "n_evaluations": evaluations}
