"""Where memory runs out the same work is done in smaller parts, from the state it began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.learning import snapshot
from core.learning.evaluation import split_features
from core.learning.memory import AtOnce, DoesNotFit, in_smaller_parts, is_out_of_memory
from core.learning.pixels import EvaluationPixels
from core.learning.trainer import Trainer
from core.learning.zero_shot import build_context_head, build_head
from tests.builders import RandomBatches, make_trainer, method, tiny_clip, tiny_head
from tests.memory import memory_of
from tests.unit.learning.test_snapshot import assert_same_run, make, run_through

STEPS = 6

# A mean over images, losses that couple the batch, one with a teacher, one that drops adapters.
METHODS = ["ft", "lipsum_ft", "flyp", "tracer", "r_adapter"]


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.student.tensors().items()}


@pytest.mark.parametrize("name", METHODS)
def test_a_halved_step_is_the_whole_one_in_float64(name: str) -> None:
    whole, halved = (make_trainer(name, double=True, n_steps=STEPS) for _ in range(2))
    told: list[tuple[int, int]] = []
    halved._on_halved = lambda step, images: told.append((step, images))
    for step in range(STEPS):
        expected = whole.train_step()
        # Eight at first, then three at once, then a pass that fails in the middle of a step.
        with memory_of(8 if step < 2 else 3, fails_at=2 if step == 4 else None):
            found = halved.train_step()
        for value in ("loss", "gradient_norm"):
            assert float(found[value]) == pytest.approx(float(expected[value]), rel=1e-9)
    assert told == [(2, 2), (4, 1)]
    for one, other in zip(whole._trained, halved._trained, strict=True):
        assert float((one - other).detach().abs().max()) < 1e-8


@pytest.mark.parametrize("name", METHODS)
def test_one_image_too_many_leaves_everything_as_it_was(name: str) -> None:
    trainer = make_trainer(name, n_steps=STEPS)
    trainer.train_step()
    trainer.train_step()
    before, state = weights(trainer), snapshot.take(trainer).tensors
    with memory_of(0) as memory, pytest.raises(DoesNotFit, match="Tried to allocate"):
        trainer.train_step()
    assert memory.faults == 4  # 8, 4, 2, 1
    assert trainer.next_step == 2
    assert all(before[name].equal(tensor) for name, tensor in weights(trainer).items())
    after = snapshot.take(trainer).tensors
    assert all(state[name].equal(tensor) for name, tensor in after.items())


@pytest.mark.parametrize("name", ["lipsum_ft", "flyp", "lp_ft", "r_adapter"])
def test_a_probe_changes_nothing_but_how_many_at_once(name: str) -> None:
    knobs: dict[str, Any] = {"projection": "ftp"} if name == "lipsum_ft" else {}
    calm, probed = make(name, **knobs), make(name, **knobs)
    probed.probe()
    assert probed.micro_batch == 8
    assert_same_run((calm, *run_through(calm)), (probed, *run_through(probed)))
    told: list[tuple[int, int]] = []
    asked, found = make(name, micro_batch_size=2, **knobs), make(name, **knobs)
    found._on_halved = lambda step, images: told.append((step, images))
    with memory_of(3):
        found.probe()
        assert (found.micro_batch, told) == (2, [(0, 2)])
        (run, reports), (expected, expected_reports) = run_through(found), run_through(asked)
    assert reports == expected_reports
    assert all(run.last.weights[name].equal(t) for name, t in expected.last.weights.items())


def test_a_probe_asks_for_what_later_steps_need() -> None:
    """Linear probing alone would find room for all eight images."""
    trainer = make("lp_ft", probe_fraction=0.5)
    with memory_of(3) as memory:
        trainer.probe()
    assert (trainer.micro_batch, memory.faults) == (2, 2)
    assert all(parameter.grad is None for parameter in trainer._trained)


def test_a_batch_is_taken_once_for_the_probe_and_its_step() -> None:
    class Counting(RandomBatches):
        taken: list[int] = []

        def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
            self.taken.append(step)
            return super().batch(step)

    batches = Counting()
    trainer = Trainer(tiny_clip(), tiny_head(), method("ft", n_steps=3), batches)
    trainer.probe()
    trainer.run(on_reports=lambda reports: None)
    assert batches.taken == [0, 1, 2]


def test_a_resumed_run_goes_on_with_as_few_at_once() -> None:
    calm, first, second = (make("flyp") for _ in range(3))
    with memory_of(3):
        for _ in range(5):
            calm.train_step(), first.train_step()
    taken = snapshot.take(first)
    snapshot.restore(second, taken)  # where there is memory enough again
    assert second.micro_batch == 2
    for _ in range(3):
        expected, found = calm.train_step(), second.train_step()
        assert float(found["loss"]) == float(expected["loss"])
    del taken.facts["micro_batch"]  # as a state of an earlier version
    old = make("flyp", micro_batch_size=5)
    with pytest.raises(ValueError, match="its hyperparameters"):
        snapshot.restore(old, taken)
    old = make("flyp")
    snapshot.restore(old, taken)
    assert old.micro_batch == 8


def test_scoring_takes_fewer_images_at_once(tmp_path: Path) -> None:
    clip, draws = tiny_clip(), np.random.default_rng(0)
    images = draws.integers(0, 256, (500, 16, 16, 3), dtype=np.uint8)
    pixels = EvaluationPixels(images, np.zeros(500, dtype=np.int64), ["x"] * 500)
    expected = split_features(clip, clip.visual, pixels)
    with memory_of(70) as memory:
        found = split_features(clip, clip.visual, pixels)
    assert memory.faults == 2  # 250, 125, and the second 250 begin at 62
    assert torch.allclose(found, expected, atol=1e-6)
    with memory_of(0), pytest.raises(DoesNotFit):
        split_features(clip, clip.visual, pixels)


def test_heads_are_built_of_fewer_texts_at_once() -> None:
    clip, most = tiny_clip(), 6
    classes, templates = [f"thing {n}" for n in range(40)], ["a {}.", "the {}."]
    wholes = build_head(clip, classes, templates), build_context_head(clip, classes, templates)

    def limited(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs[0].shape[0] > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    clip.model.transformer.register_forward_pre_hook(limited)  # type: ignore[operator,union-attr]
    parts = build_head(clip, classes, templates), build_context_head(clip, classes, templates)
    for whole, part in zip(wholes, parts, strict=True):
        assert torch.allclose(whole, part, atol=1e-6)
    most = 0
    with pytest.raises(DoesNotFit):
        build_head(clip, classes, templates)


def test_what_torch_says_where_it_has_no_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert not isinstance(caught.value, torch.OutOfMemoryError)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(MemoryError())


def test_other_faults_go_out_at_once() -> None:
    tried = []

    def work(n: int) -> int:
        tried.append(n)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        in_smaller_parts(work, 8)
    assert tried == [8]


def test_a_short_last_part_is_no_sign_of_little_memory() -> None:
    at_once = AtOnce(250)
    at_once.encode(lambda rows: rows, torch.zeros(3, 2))
    assert at_once.most == 250
