"""What a finished job has to tell, read from the files that it leaves."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jobs.spec import JobSpec
from worker.pipeline.workspace import Workspace

METRICS_FILE, RESULTS_FILE = "metrics.csv", "results.json"


@dataclass(frozen=True)
class StepMetrics:
    """Finite values measured at one step."""

    seed: int
    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Result:
    """One number of the result table."""

    seed: int
    model: str
    split: str
    metric: str
    value: float


@dataclass(frozen=True)
class Tracked:
    """Of a whole job, all seeds. `metrics` is empty where nothing was trained."""

    spec: JobSpec
    metrics: list[StepMetrics]
    results: list[Result]
    files: dict[str, Path]

    @classmethod
    def of(cls, workspace: Workspace) -> Tracked:
        """From the attempt's directory."""
        found = {name: workspace.directory / name for name in (METRICS_FILE, RESULTS_FILE)}
        files = {name: path for name, path in found.items() if path.is_file()}
        metrics = list(_metrics(files[METRICS_FILE])) if METRICS_FILE in files else []
        results = list(_results(files[RESULTS_FILE])) if RESULTS_FILE in files else []
        return cls(workspace.spec, metrics, results, files)

    @property
    def name(self) -> str:
        """What the run is called where nobody named it: the model it made."""
        return self.spec.model_id

    @property
    def parameters(self) -> dict[str, Any]:
        """What the job was told, by name."""
        return {
            "method": self.spec.method,
            "model": self.spec.theta0.id,
            **({"starts": [model.id for model in self.spec.starts]} if self.spec.starts else {}),
            "seeds": self.spec.seeds,
            **self.spec.hyperparameters,
        }

    def of_seed(self, seed: int, name: str) -> str:
        """A metric's name: with its seed in front where the job has several."""
        return name if len(self.spec.seeds) == 1 else f"seed_{seed}/{name}"


def _metrics(path: Path) -> Iterator[StepMetrics]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seed, step = int(row.pop("seed")), int(row.pop("step"))
            values = {name: float(text) for name, text in row.items() if text}
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            yield StepMetrics(seed, step, finite)


def _results(path: Path) -> Iterator[Result]:
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        if row["value"] is not None:
            place = (row["seed"], row["model"], row["split"], row["metric"])
            yield Result(*place, value=float(row["value"]))
