"""The complete state of a run between two steps: taken while it trains, put into a fresh run.

Randomness is no part of it, since every draw is a pure function of the seed and the step. What a
run is made from (theta0, where it begins, images, method, settings) is not either: whoever resumes
makes a `Trainer` as for the first step and calls `restore`. From then on every step is, bit for
bit, what it would have been.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.learning.environment import environment
from core.learning.live_tensors import copy_into
from core.learning.models import Head

if TYPE_CHECKING:
    from core.learning.trainer import TrainedState, Trainer

_WEIGHTS, _OPTIMIZER, _METHOD, _PROJECTION = "weights", "optimizer", "method", "projection"
_HEAD = "head"


class StateOfAnotherRun(ValueError):
    """A state that this run cannot go on from."""


@dataclass(frozen=True)
class Snapshot:
    """A run before its step `step`. Tensors on the CPU, named by the part they belong to."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]  # JSON: what the state belongs to, and the validations so far
    best: TrainedState | None  # of the validations so far; it never changes once made


@dataclass
class HostMemory:
    """Where snapshots are copied to, taken once and used for all of them: fresh pages for a large
    model cost as much as the copy. One snapshot at a time is valid."""

    _kept: dict[str, Tensor] = field(default_factory=dict)

    def copy(self, live: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The values as they are now."""
        found = {}
        for name, tensor in live.items():
            kept = self._kept.get(name)
            if kept is None or kept.shape != tensor.shape or kept.dtype != tensor.dtype:
                pinned = tensor.device.type == "cuda"
                kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
            kept.copy_(tensor.detach())
            found[name] = kept
        self._kept = found
        return dict(found)


def take(trainer: Trainer, memory: HostMemory | None = None) -> Snapshot:
    """The run as it is between two steps. With a `memory` the next snapshot overwrites this one."""
    return Snapshot(
        trainer.next_step,
        (memory or HostMemory()).copy(_live(trainer)),
        {
            **_belongs_to(trainer),
            "step": trainer.next_step,
            "micro_batch": trainer.micro_batch,
            "validations": list(trainer.validations),
        },
        trainer.best,
    )


def restore(trainer: Trainer, snapshot: Snapshot) -> None:
    """Put a state into a fresh run of the same method with the same settings and seed.

    Raises StateOfAnotherRun, naming the first difference.
    """
    try:
        _put(trainer, snapshot)
    except ValueError as fault:
        raise StateOfAnotherRun(str(fault)) from fault


def trained_tensors(state: TrainedState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A finished or chosen state as tensors and facts; its classes are not among them."""
    facts = {
        "step": state.step,
        "validation_accuracy": state.validation_accuracy,
        "scale": state.head.scale,
        "from_text": state.head.from_text,
    }
    weights = {f"{_WEIGHTS}.{name}": tensor for name, tensor in state.weights.items()}
    return {**weights, _HEAD: state.head.weight}, facts


def trained_state(
    tensors: Mapping[str, Tensor], facts: Mapping[str, Any], like: Head
) -> TrainedState:
    """The state again, in memory of its own. `like` is a head of the same classes."""
    from core.learning.trainer import TrainedState

    own = {name: tensor.clone() for name, tensor in tensors.items()}
    head = replace(like, weight=own.pop(_HEAD), scale=facts["scale"], from_text=facts["from_text"])
    weights = {name.removeprefix(f"{_WEIGHTS}."): tensor for name, tensor in own.items()}
    return TrainedState(facts["step"], weights, head, facts["validation_accuracy"])


def _put(trainer: Trainer, snapshot: Snapshot) -> None:
    _require_same_run(trainer, snapshot.facts)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in snapshot.tensors.items():
        part, _, own = name.partition(".")
        parts.setdefault(part, {})[own] = tensor
    trained = {n: p.detach() for n, p in trainer.student.trained().items()}
    copy_into(trained, parts.get(_WEIGHTS, {}))
    _restore_optimizer(trainer, parts.get(_OPTIMIZER, {}))
    trainer.method.restore(trainer.student, parts.get(_METHOD, {}))
    if trainer.projection is not None:
        trainer.projection.restore(parts.get(_PROJECTION, {}))
    trainer.micro_batch = snapshot.facts.get("micro_batch", trainer.micro_batch)
    trainer.next_step = snapshot.step
    trainer.validations = [
        (int(step), float(value)) for step, value in snapshot.facts["validations"]
    ]
    trainer.best = snapshot.best


def _live(trainer: Trainer) -> dict[str, Tensor]:
    """Everything that a step changes."""
    trained = trainer.student.trained()
    found: dict[str, Tensor] = {f"{_WEIGHTS}.{name}": p for name, p in trained.items()}
    for name, parameter in trained.items():
        for key, value in trainer.optimizer.state.get(parameter, {}).items():
            found[f"{_OPTIMIZER}.{name}.{key}"] = value
    for name, tensor in trainer.method.state(trainer.student).items():
        found[f"{_METHOD}.{name}"] = tensor
    if trainer.projection is not None:
        for name, tensor in trainer.projection.state().items():
            found[f"{_PROJECTION}.{name}"] = tensor
    return found


def _belongs_to(trainer: Trainer) -> dict[str, Any]:
    return {
        "method": trainer.method.name,
        "hyperparameters": trainer.recipe.model_dump(mode="json"),
        "seed": trainer.student.seed,
        "environment": environment(trainer.student.clip.device),
    }


def _require_same_run(trainer: Trainer, facts: Mapping[str, Any]) -> None:
    expected = _belongs_to(trainer)
    # A knob that a later version brought is not in the state, and says there what it was before.
    known = facts["hyperparameters"].keys()
    expected["hyperparameters"] = {
        name: value for name, value in expected["hyperparameters"].items() if name in known
    }
    for name in ("method", "hyperparameters", "seed"):
        if facts[name] != expected[name]:
            raise ValueError(
                f"it is of another run: its {name} is {facts[name]!r}, not {expected[name]!r}"
            )


def _restore_optimizer(trainer: Trainer, tensors: Mapping[str, Tensor]) -> None:
    """A parameter that no step has updated yet has no entry, here as there."""
    trained = trainer.student.trained()
    trainer.optimizer.state.clear()
    for name, tensor in tensors.items():
        parameter_name, _, key = name.rpartition(".")
        if parameter_name not in trained:
            raise ValueError(f"the state has the optimiser's {key} of {parameter_name}, not here")
        parameter = trained[parameter_name]
        # As the optimiser makes them: moments laid out as their parameter, on its device.
        kept = (
            torch.empty_like(parameter, requires_grad=False)
            if tensor.shape == parameter.shape and key != "step"
            else torch.empty(tensor.shape, dtype=tensor.dtype, device=parameter.device)
        )
        trainer.optimizer.state[parameter][key] = kept.copy_(tensor)
