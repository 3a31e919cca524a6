"""A run interrupted anywhere and resumed in a fresh object is the run that never stopped, bit for
bit: its metrics, its weights, what it validated and chose, and whatever its method remembers."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.learning import snapshot
from core.learning.determinism import repeatable_kernels
from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.models import Clip, Head
from core.learning.projections.base import Projection
from core.learning.random_text import DrawnTexts
from core.learning.snapshot import HostMemory, Snapshot
from core.learning.stored_state import read_state, write_state
from core.learning.student import Start
from core.learning.trainer import StepReport, Trainer, TrainingRun
from tests.builders import RandomBatches, method, tiny_clip, tiny_head

STEPS = 14
TRAINING = [name for name, kind in registry().items() if issubclass(kind, TrainingMethod)]

# What makes every part of a method's state move within so few steps.
BUSY: dict[str, dict[str, Any]] = {
    "carot": {"teacher_interval": 3},
    "ema": {"ema_decay": 0.7},
    "r_adapter": {"ema_decay": 0.7, "drop_probability": 0.4, "rank": 3},
    "lp_ft": {"probe_fraction": 0.5},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Interrupting:
    """Keeps the state where it is told to, on disk as a worker would, and stops the run there."""

    directory: Path
    at: set[int]
    kept: list[tuple[Path, str, Snapshot]] = field(default_factory=list)
    memory: HostMemory = field(default_factory=HostMemory)
    step: int = 0

    def is_due(self) -> bool:
        self.step += 1
        return self.step in self.at

    def keep(self, trainer: Trainer) -> None:
        assert trainer.next_step == self.step
        taken = snapshot.take(trainer, self.memory)
        path = self.directory / f"{trainer.next_step}.safetensors"
        digest = write_state(path, taken.tensors, taken.facts)
        self.kept.append((path, digest, taken))
        raise InterruptedError


def validate(trainer: Trainer) -> Any:
    """A figure that follows from every weight of the finished model, and often falls."""

    def accuracy(head: Head) -> float:
        weights = [*trainer.student.clip.model.state_dict().values(), head.weight]
        digest = hashlib.sha256()
        for tensor in weights:
            digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.digest()[0] / 255

    return accuracy


@cache
def _tiny() -> Clip:
    return tiny_clip()


def make(name: str, start: Start | None = None, **knobs: Any) -> Trainer:
    chosen = {"n_steps": STEPS, "n_evaluations": 5, **BUSY.get(name, {}), **knobs}
    tiny = _tiny()
    clip = replace(tiny, model=copy.deepcopy(tiny.model))
    texts = DrawnTexts(clip.text, 0)
    return Trainer(clip, tiny_head(), method(name, **chosen), RandomBatches(), texts, start=start)


def run_through(trainer: Trainer) -> tuple[TrainingRun, list[StepReport]]:
    reports: list[StepReport] = []
    return trainer.run(on_reports=reports.extend, validate=validate(trainer)), reports


def run_interrupted(
    directory: Path, name: str, at: list[int], **knobs: Any
) -> tuple[Trainer, TrainingRun, list[StepReport]]:
    """The same in a fresh object for each of the steps `at`."""
    reports: list[StepReport] = []
    trainer = make(name, **knobs)
    for step in at:
        keeper = Interrupting(directory, {step}, step=trainer.next_step)
        with pytest.raises(InterruptedError):
            trainer.run(on_reports=reports.extend, validate=validate(trainer), keeper=keeper)
        ((path, digest, taken),) = keeper.kept
        tensors, facts = read_state(path, digest)
        trainer = make(name, **knobs)
        snapshot.restore(trainer, Snapshot(taken.step, tensors, facts, taken.best))
    result = trainer.run(on_reports=reports.extend, validate=validate(trainer))
    return trainer, result, reports


def held_by(
    thing: object, path: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Every tensor and number that an object holds, however deep, and where."""
    seen = set() if seen is None else seen
    if isinstance(thing, Tensor):
        yield path, thing.detach()
    elif isinstance(thing, int | float | str | np.ndarray):
        yield path, thing
    elif id(thing) not in seen and not callable(thing):
        seen.add(id(thing))
        if isinstance(thing, torch.nn.Module):
            items = list(thing.state_dict(keep_vars=False).items())
        elif isinstance(thing, dict):
            items = list(thing.items())
        elif isinstance(thing, list | tuple):
            items = list(enumerate(thing))
        else:
            items = list(getattr(thing, "__dict__", {}).items())
        for name, item in items:
            yield from held_by(item, f"{path}.{name}", seen)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.equal(other)
    return bool(np.array_equal(one, other))


def assert_same_run(
    calm: tuple[Trainer, TrainingRun, list[StepReport]],
    other: tuple[Trainer, TrainingRun, list[StepReport]],
) -> None:
    assert other[2] == calm[2]
    assert other[1].validations == calm[1].validations
    for mine, theirs in ((other[1].best, calm[1].best), (other[1].last, calm[1].last)):
        assert (mine.step, mine.validation_accuracy) == (theirs.step, theirs.validation_accuracy)
        assert mine.weights.keys() == theirs.weights.keys()
        assert all(mine.weights[name].equal(value) for name, value in theirs.weights.items())
        assert mine.head.weight.equal(theirs.head.weight)
        assert mine.head.scale == theirs.head.scale
    # Also what has not come to matter yet.
    for part in ("method", "projection"):
        found, expected = (dict(held_by(getattr(t[0], part))) for t in (other, calm))
        assert found.keys() == expected.keys()
        assert [name for name in found if not same(found[name], expected[name])] == []


def random_steps(name: str, n: int) -> list[int]:
    """Some steps to interrupt at, other ones for each method."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return sorted(np.random.default_rng(seed).choice(STEPS - 1, n, replace=False) + 1)


CASES = [
    *((name, "none") for name in TRAINING),
    # Weights, a part without gradient for some steps, parameters that the method adds.
    *((name, kind) for name in ("lipsum_ft", "lp_ft", "r_adapter") for kind in ("ftp", "spd")),
]


@pytest.mark.parametrize(("name", "projection"), CASES)
def test_an_interrupted_run_is_the_calm_one_bit_for_bit(
    tmp_path: Path, name: str, projection: str
) -> None:
    calm = make(name, projection=projection)
    whole = (calm, *run_through(calm))
    at = [int(step) for step in random_steps(name + projection, 3)]
    assert_same_run(whole, run_interrupted(tmp_path, name, at, projection=projection))


def test_every_step_is_as_good_as_any_other(tmp_path: Path) -> None:
    calm = make("lipsum_ft")
    whole = (calm, *run_through(calm))
    assert_same_run(whole, run_interrupted(tmp_path, "lipsum_ft", list(range(1, STEPS))))


@pytest.mark.parametrize("name", ["ema", "carot", "tracer", "r_adapter"])
def test_a_method_that_forgot_its_state_would_be_noticed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the comparison above is worth."""
    calm = make(name)
    whole = (calm, *run_through(calm))
    monkeypatch.setattr(registry()[name], "state", lambda self, student: {})
    other = run_interrupted(tmp_path, name, [5])
    with pytest.raises(AssertionError):
        assert_same_run(whole, other)


def test_a_method_that_says_nothing_of_its_state_cannot_be_made() -> None:
    assert "state" in TrainingMethod.__abstractmethods__
    assert "state" in Projection.__abstractmethods__


def test_two_threads_repeat_themselves_where_captions_occur_twice() -> None:
    """Gradients of an indexed read are summed by atomic additions unless told otherwise."""
    torch.set_num_threads(2)
    table = torch.randn(40, 2048, requires_grad=True)
    places = torch.arange(4000) % 40
    scales = torch.randn(4000, 2048)
    with repeatable_kernels(True):
        assert torch.are_deterministic_algorithms_enabled()
        gradients = set()
        for _ in range(5):
            table.grad = None
            (table[places] * scales).sum().backward()
            assert table.grad is not None
            gradients.add(hashlib.sha256(table.grad.numpy().tobytes()).hexdigest())
    assert not torch.are_deterministic_algorithms_enabled()
    assert len(gradients) == 1


def test_a_snapshot_costs_its_memory_once(tmp_path: Path) -> None:
    trainer, memory = make("ft"), HostMemory()
    first = snapshot.take(trainer, memory)
    trainer.train_step()
    trainer.train_step()  # now the optimiser has moments too
    second = snapshot.take(trainer, memory)
    third = snapshot.take(trainer, memory)
    for name, tensor in first.tensors.items():
        assert tensor.data_ptr() == second.tensors[name].data_ptr()
    for name, tensor in second.tensors.items():
        assert tensor.data_ptr() == third.tensors[name].data_ptr()
    alone = snapshot.take(trainer)
    before = {name: tensor.clone() for name, tensor in alone.tensors.items()}
    trainer.train_step()
    assert all(before[name].equal(tensor) for name, tensor in alone.tensors.items())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"name": "ema"}, "its method is 'ft', not 'ema'"),
        ({"learning_rate": 2e-3}, "its hyperparameters"),
    ],
)
def test_a_state_of_another_run_is_refused(other: dict[str, Any], words: str) -> None:
    taken = snapshot.take(make("ft"))
    fresh = make(**{"name": "ft", **other})
    with pytest.raises(ValueError, match=words):
        snapshot.restore(fresh, taken)


def test_a_state_from_before_a_knob_existed_is_taken() -> None:
    taken = snapshot.take(make("ft"))
    del taken.facts["hyperparameters"]["projection"]
    fresh = make("ft")
    snapshot.restore(fresh, taken)
    assert fresh.next_step == 0


def test_a_state_that_lacks_a_tensor_is_refused() -> None:
    trainer = make("ema")
    trainer.train_step()
    taken = snapshot.take(trainer)
    del taken.tensors["method.head"]
    with pytest.raises(ValueError, match="has no tensor head"):
        snapshot.restore(make("ema"), taken)


def test_a_trained_state_comes_back_as_it_was(tmp_path: Path) -> None:
    trainer = make("flyp")
    trainer.train_step()
    trainer.train_step()
    state = trainer.state(validate(trainer))
    tensors, facts = snapshot.trained_tensors(state)
    digest = write_state(tmp_path / "s", tensors, facts)
    again = snapshot.trained_state(*read_state(tmp_path / "s", digest), like=tiny_head())
    assert (again.step, again.validation_accuracy) == (2, state.validation_accuracy)
    assert again.head.weight.equal(state.head.weight)
    assert (again.head.scale, again.head.from_text) == (state.head.scale, True)
    assert again.weights.keys() == state.weights.keys()
    assert all(again.weights[name].equal(tensor) for name, tensor in state.weights.items())
