"""Step metrics on their way to the supervisor and into `metrics.csv`."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from core.jobs.messages import Environment, Metrics, Speed
from core.learning.determinism import is_repeatable
from core.learning.environment import environment
from core.learning.trainer import StepReport
from worker.pipeline.companions import process_count
from worker.pipeline.plan import PlannedRun
from worker.pipeline.workspace import Workspace

Row = tuple[int, dict[str, float]]
"""A step, counted over all runs of its seed, and what was measured in it."""


class MetricsLog:
    """The metrics of all runs of a job."""

    def __init__(
        self, workspace: Workspace, planned: Sequence[PlannedRun], device: torch.device
    ) -> None:
        """Says where the job computes, on which depends whether steps repeat themselves."""
        self._workspace = workspace
        total_steps = _steps_of_a_seed(planned)
        self._runs = [RunLog(workspace, run, total_steps, self.not_repeatable) for run in planned]
        self._facts = environment(device, process_count(workspace.settings, device))
        self._say_where(repeatable=is_repeatable(device, workspace.settings.deterministic))

    def of(self, run: PlannedRun) -> RunLog:
        return self._runs[run.number]

    def not_repeatable(self) -> None:
        """What is measured from here on hangs on how much memory there was: an attempt that does
        these steps again may round otherwise, and is not compared."""
        self._say_where(repeatable=False)

    def _say_where(self, *, repeatable: bool) -> None:
        self._workspace.reporter.send(Environment(facts=self._facts, repeatable=repeatable))

    def write(self) -> None:
        """`metrics.csv`, in the order of the runs."""
        path = self._workspace.directory / "metrics.csv"
        rows = [(log.seed, step, values) for log in self._runs for step, values in log.rows]
        names = list(dict.fromkeys(name for _, _, values in rows for name in values))
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["seed", "step", *names])
            for seed, step, values in rows:
                writer.writerow([seed, step, *(values.get(name, "") for name in names)])
        self._workspace.store_artifact("metrics.csv", path)


class RunLog:
    """The metrics of one run; called with reports as they come."""

    def __init__(
        self,
        workspace: Workspace,
        run: PlannedRun,
        total_steps: int,
        not_repeatable: Callable[[], None],
    ) -> None:
        """`total_steps` are those of a seed."""
        self.seed = run.seed
        self.rows: list[Row] = []
        self._workspace = workspace
        self._run = run
        self._total_steps = total_steps
        self._not_repeatable = not_repeatable
        self._reported_at: float | None = None

    def __call__(self, reports: list[StepReport]) -> None:
        for report in reports:
            step = self._run.steps_before + report.step
            self.rows.append((step, report.values))
            self._workspace.reporter.send(Metrics(seed=self.seed, step=step, values=report.values))
        self._show_progress()
        self._show_speed(len(reports))

    def go_on(self, rows: Sequence[Row]) -> None:
        """What was measured before the run was interrupted, and reported then."""
        self.rows = list(rows)
        if rows:
            self._show_progress()

    def halved(self, step: int, images: int) -> None:
        """Memory ran out in a step of this run, which is done again with fewer images at once."""
        self._not_repeatable()
        number = self._run.steps_before + step
        batch = int(self._run.method.hyperparameters.batch_size)
        self._workspace.reporter.warn(
            f"seed {self.seed}: memory ran out at step {number}; from there on {images} images "
            f"instead of a step's {batch} pass through the towers at once, and gradients are "
            "accumulated. Numbers may differ, by rounding, from those of a run with more memory",
            seed=self.seed,
            step=number,
            micro_batch_size=images,
        )

    def made(self, step: int) -> dict[str, float]:
        """Of the state after so many steps of this run: which it is, and the last loss."""
        losses = dict(self.rows)
        total = self._run.steps_before + step
        loss = losses.get(total - 1, {}).get("loss")
        return {"step": float(total), **({} if loss is None else {"train_loss": loss})}

    def _show_speed(self, steps: int) -> None:
        """Since the reports before these; whatever else was done meanwhile is in it."""
        moment, before = time.monotonic(), self._reported_at
        self._reported_at = moment
        if before is None or not steps:
            return
        seconds = (moment - before) / steps
        memory = torch.cuda.memory_allocated() if torch.cuda.is_available() else None
        self._workspace.reporter.send(
            Speed(
                step_seconds=seconds,
                images_per_second=int(self._run.method.hyperparameters.batch_size) / seconds,
                device_memory_bytes=memory,
            )
        )

    def _show_progress(self) -> None:
        step = self.rows[-1][0] + 1
        done = (self._run.seed_number + step / self._total_steps) / len(self._workspace.spec.seeds)
        self._workspace.reporter.within("training", done, step, self._total_steps)


def stored_rows(rows: Sequence[Row]) -> tuple[dict[str, Tensor], list[str]]:
    """Rows as tensors, to the last bit, and the names of their columns."""
    names = list(dict.fromkeys(name for _, values in rows for name in values))
    present = [[name in values for name in names] for _, values in rows]
    numbers = [[values.get(name, 0.0) for name in names] for _, values in rows]
    shape = (len(rows), len(names))
    return {
        "steps": torch.tensor([step for step, _ in rows], dtype=torch.int64),
        "values": torch.tensor(numbers, dtype=torch.float64).reshape(shape),
        "present": torch.tensor(present, dtype=torch.bool).reshape(shape),
    }, names


def loaded_rows(tensors: Mapping[str, Tensor], names: Sequence[Any]) -> list[Row]:
    """The rows again."""
    parts = (tensors[name].tolist() for name in ("steps", "values", "present"))
    return [
        (step, {n: v for n, v, there in zip(names, values, present, strict=True) if there})
        for step, values, present in zip(*parts, strict=True)
    ]


def _steps_of_a_seed(planned: Sequence[PlannedRun]) -> int:
    last = planned[-1]
    return last.steps_before + int(last.method.hyperparameters.n_steps)
