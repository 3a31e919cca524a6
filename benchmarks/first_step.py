"""From a job's submission to its first training step, with a trainer that waits and without.

Two services side by side take turns. The worker runs, and has had a job like this one: pixels,
theta0's features and its head are cached, the dataset is checked. The first job of each service
does not count; it also compiles Python's modules into a folder of the benchmark's own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.memory import anonymous, descendants
from benchmarks.timing import summary
from benchmarks.traced_trainer import MOMENTS
from benchmarks.training_service import TrainingService, training_service
from core.demo.world import write_archives
from core.learning.recipes import find_recipe

STEPS = 10_000  # more than are done


def measure(tries: int, train_per_class: int, test_per_class: int) -> dict[str, Any]:
    """Seconds until the first step is done, and of what comes before it, with and without."""
    with tempfile.TemporaryDirectory(prefix="lipsum-first-step-") as made, ExitStack() as stack:
        folder = Path(made)
        archive = write_archives(
            folder, train_per_class=train_per_class, test_per_class=test_per_class
        )["demo"]
        variables = {"PYTHONPYCACHEPREFIX": f"{made}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
        services = {
            name: stack.enter_context(
                training_service(folder / name, archive, variables, warm_trainers=warm)
            )
            for name, warm in (("waiting", True), ("started", False))
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in services}
        for number in range(-1, tries):
            for name, service in services.items():
                spent = _try(service)
                if number >= 0:
                    found[name].append(spent)
        memory = max(anonymous(pid) for pid in descendants(services["waiting"].worker.pid))
    images = {"train": 25 * train_per_class, "scored": 5 * 25 * test_per_class}
    return {"tries": tries, "images": images, "waiting_bytes": memory} | {
        name: {
            "seconds": summary([sum(spent.values()) for spent in tried]),
            "phases": {
                phase: round(statistics.median(spent[phase] for spent in tried), 4)
                for phase in tried[0]
            },
        }
        for name, tried in found.items()
    }


def _try(service: TrainingService) -> dict[str, float]:
    """Seconds of what comes one after the other from a submission to the end of the first step."""
    service.await_rest()
    knobs = find_recipe("demo").hyperparameters | {"n_steps": STEPS, "n_evaluations": 1}
    submitted = time.time()
    job = service.submit(knobs)
    moments = service.moments(job)
    service.client.fine_tuning.jobs.cancel(job.id)  # what comes after is not measured
    ended = service.finish(job, "cancelled")
    changes = (ended.model_extra or {})["transitions"]
    claimed = next(change["at"] for change in changes if change["to"] == "running")
    service.await_rest()
    order = {"claimed": float(claimed)} | {name: moments[name] for name in MOMENTS}
    before = [submitted, *list(order.values())[:-1]]
    return {
        name: max(0.0, at - earlier)
        for (name, at), earlier in zip(order.items(), before, strict=True)
    }
