"""The runs of a job that trains, in their order: what is numbered in its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from core.jobs.spec import JobSpec, ModelReference
from core.learning.methods import registry
from core.learning.methods.auto import Auto
from core.learning.methods.base import TrainingMethod


@dataclass(frozen=True)
class PlannedRun:
    """One training of one model."""

    number: int  # among the job's runs
    method: TrainingMethod
    own_seed: int  # of its draws
    seed: int  # the job's, which it belongs to
    seed_number: int  # which of the job's seeds that is
    steps_before: int  # of the same seed, in earlier runs
    start: ModelReference | None = None  # what it begins from; theta0 where nothing is said


def planned_runs(spec: JobSpec) -> list[PlannedRun]:
    """One for each seed; of `auto`, several for each. None for what does not train."""
    kind = registry()[spec.method]
    if kind is Auto:
        return _members(spec, Auto(spec.hyperparameters))
    if not issubclass(kind, TrainingMethod):
        return []
    return [
        PlannedRun(number, kind(spec.hyperparameters), seed, seed, number, 0, _start(spec, number))
        for number, seed in enumerate(spec.seeds)
    ]


def _members(spec: JobSpec, auto: Auto) -> list[PlannedRun]:
    n_steps = int(auto.hyperparameters.n_steps)
    found: list[PlannedRun] = []
    for seed_number, seed in enumerate(spec.seeds):
        for place, (method, own_seed) in enumerate(auto.members(seed)):
            before = place * n_steps
            start = _start(spec, seed_number)
            found.append(PlannedRun(len(found), method, own_seed, seed, seed_number, before, start))
    return found


def _start(spec: JobSpec, seed_number: int) -> ModelReference | None:
    return spec.starts[seed_number] if spec.starts else None
