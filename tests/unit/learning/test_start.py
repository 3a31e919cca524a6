"""Training that begins elsewhere than at theta0: what it begins with, and what stays theta0's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.learning.models import Clip
from core.learning.randomness import generator
from core.learning.student import Start
from core.learning.trainer import Trainer
from tests.builders import tiny_clip, tiny_head, unit_head
from tests.unit.learning.test_snapshot import (
    CASES,
    STEPS,
    TRAINING,
    assert_same_run,
    make,
    random_steps,
    run_interrupted,
    run_through,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def start_of(clip: Clip, head: Tensor) -> Start:
    weights = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
    return Start(weights, head)


def elsewhere(*parts: str) -> Start:
    """Weights that differ from theta0's in the parts that are named, or everywhere."""
    start = start_of(tiny_clip(), unit_head(8, 5, seed=1))
    other = tiny_clip(seed=1).model.state_dict()
    other["logit_scale"] = other["logit_scale"] + 0.25
    chosen = {n: t for n, t in other.items() if not parts or n.startswith(parts)}
    return Start({**start.weights, **chosen}, start.head)


@pytest.mark.parametrize(("name", "projection"), CASES)
def test_to_begin_from_theta0_is_not_to_say_where_to_begin(name: str, projection: str) -> None:
    plain = make(name, projection=projection)
    theta0 = start_of(tiny_clip(), tiny_head().weight)
    said = make(name, start=theta0, projection=projection)
    assert_same_run((plain, *run_through(plain)), (said, *run_through(said)))


@pytest.mark.parametrize("name", TRAINING)
def test_before_the_first_step_the_model_is_what_it_begins_from(name: str) -> None:
    start, theta0 = elsewhere(), tiny_clip().model.state_dict()
    trainer = make(name, start=start)
    state = trainer.state()
    expected = dict(start.weights)
    if "logit_scale" not in trainer.method.trains:  # then it is a constant of the loss
        expected["logit_scale"] = theta0["logit_scale"]
    made = {**theta0, **state.weights}
    assert [n for n, tensor in expected.items() if not made[n].equal(tensor)] == []
    if "head" in trainer.method.trains:
        assert start.head is not None
        assert state.head.weight.equal(start.head)


@pytest.mark.parametrize("name", ["lipsum_ft", "kd", "car_ft", "l2sp"])
def test_a_penalty_is_of_the_distance_from_theta0(name: str) -> None:
    assert float(make(name).train_step()["penalty"]) == 0.0
    assert float(make(name, start=elsewhere()).train_step()["penalty"]) > 1e-4


@pytest.mark.parametrize("texts", ["random", "templates"])
def test_lipsums_penalty_at_the_start_is_its_formula(texts: str) -> None:
    """With texts of theta0's tower, although the student has another."""
    trainer = make("lipsum_ft", start=elsewhere(), texts=texts)
    theta0, student = tiny_clip(), tiny_clip()
    student.model.load_state_dict(elsewhere("visual.").weights)
    images, _ = trainer.batches.batch(0)
    step_texts = _texts_of_first_step(trainer, theta0)
    with torch.no_grad():
        before, after = (clip.image_features(images) for clip in (theta0, student))
        expected = 0.5 * (theta0.scale * (after - before) @ step_texts.T).square().mean()
    assert float(trainer.train_step()["penalty"]) == pytest.approx(float(expected), rel=1e-4)


def test_theta0_keeps_a_text_tower_that_only_the_student_leaves() -> None:
    """The teacher shares with the student what never changes; the start changes it once."""
    trainer = make("lipsum_ft", start=elsewhere("transformer.", "text_projection"))
    frozen = trainer.surroundings.theta0
    assert frozen is not None
    before = tiny_clip().model.state_dict()
    assert all(before[name].equal(tensor) for name, tensor in frozen.model.state_dict().items())
    assert not trainer.student.clip.model.state_dict()["text_projection"].equal(
        before["text_projection"]
    )
    run, _ = run_through(trainer)
    assert "text_projection" in run.best.weights  # or the finished model would have theta0's
    assert "token_embedding.weight" not in run.best.weights


@pytest.mark.parametrize("name", ["carot", "tracer"])
def test_teachers_begin_at_theta0(name: str) -> None:
    trainer = make(name, start=elsewhere())
    before = tiny_clip().model.state_dict()
    teacher: Any = trainer.method
    assert all(before[n].equal(t) for n, t in teacher.teacher.model.state_dict().items())


def test_first_radius_of_ftp_reaches_as_far_as_the_start() -> None:
    """Radius 1e-8 around theta0 would undo the start in one step."""
    start = elsewhere()
    trainer = make("ft", start=start, projection="ftp", learning_rate=1e-6)
    trainer.train_step()  # at a rate of zero
    trainer.train_step()
    for name in ("visual.proj", "visual.conv1.weight"):
        moved = (trainer.student.tensors()[name] - start.weights[name]).abs().max()
        assert 0 < float(moved) < 1e-2


@pytest.mark.parametrize(
    ("name", "projection"),
    [(n, "none") for n in ("lipsum_ft", "ema", "carot", "tracer", "r_adapter")]
    + [("lipsum_ft", "ftp"), ("ft", "spd")],
)
def test_interrupted_it_is_the_calm_run_bit_for_bit(
    tmp_path: Path, name: str, projection: str
) -> None:
    calm = make(name, start=elsewhere(), projection=projection)
    whole = (calm, *run_through(calm))
    at = random_steps(f"start {name} {projection}", 2)
    assert all(0 < step < STEPS for step in at)
    other = run_interrupted(
        tmp_path, name, [int(step) for step in at], start=elsewhere(), projection=projection
    )
    assert_same_run(whole, other)
    assert not whole[1].last.weights.keys() - start_of(tiny_clip(), unit_head(8, 5)).weights.keys()


def _texts_of_first_step(trainer: Trainer, theta0: Clip) -> Tensor:
    """Features (M, D) of the texts that Lipsum-FT draws at step 0, under theta0."""
    knobs: Any = trainer.method.hyperparameters
    if knobs.texts == "random":
        assert trainer.surroundings.texts is not None
        ids = trainer.surroundings.texts.token_ids(0, knobs.n_texts, knobs.text_length)
        return torch.nn.functional.normalize(theta0.text.features(ids), dim=-1)
    head, draws = trainer.student.start, generator(trainer.student.seed, "template_texts", 0)
    labels = draws.integers(0, len(head.classes), size=knobs.n_texts)
    picked = draws.integers(0, len(head.templates), size=knobs.n_texts)
    texts = [
        head.templates[template].format(head.classes[label])
        for template, label in zip(picked, labels, strict=True)
    ]
    return theta0.text_features(theta0.tokenizer(texts))
