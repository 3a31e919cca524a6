"""StarFT: its penalty, its captions, and what it is without the penalty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core.learning.methods.starft import spurious_penalty
from core.learning.phrases import POOLS
from core.learning.random_text import DrawnTexts
from core.learning.steps import DirectStep
from core.learning.trainer import Trainer
from core.learning.zero_shot import DEFAULT_TEMPLATES
from tests.builders import RandomBatches, make_trainer, method, tiny_clip, tiny_head
from tests.unit.learning.fixed_step import Array, softmax, unit

LABELS = np.array([0, 1, 0, 2, 1, 0])
SCALE = 7.3


def four_features() -> list[Array]:
    """v, u, v0 and u0 of six images."""
    draws = np.random.default_rng(0)
    return [unit(draws.normal(size=(6, 4))) for _ in range(4)]


def expected_penalty(
    v: Array,
    u: Array,
    v0: Array,
    u0: Array,
    *,
    scale: float = SCALE,
    teacher_scale: float = SCALE,
    spared: str = "class",
    reverse: bool = False,
) -> float:
    """The mean over images of KL(teacher || student) over the captions that are not spared."""
    total = 0.0
    for i in range(6):
        others = [j for j in range(6) if spared == "none" or LABELS[j] != LABELS[i]]
        if spared == "diagonal":
            others = [j for j in range(6) if j != i]
        p0 = softmax(np.array([teacher_scale * v0[i] @ u0[j] for j in others]))
        p = softmax(np.array([scale * v[i] @ u[j] for j in others]))
        if reverse:
            p0, p = p, p0
        total += float((p0 * np.log(p0 / p)).sum()) / 6
    return total


def found_penalty(features: list[Array], labels: Array = LABELS) -> float:
    v, u, v0, u0 = (torch.from_numpy(x) for x in features)
    return float(spurious_penalty(v, u, v0, u0, torch.from_numpy(labels), SCALE))


def test_the_penalty_equals_the_papers_formula_in_float64() -> None:
    features = four_features()
    assert found_penalty(features) == pytest.approx(expected_penalty(*features), rel=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": SCALE * 1.01},
        {"teacher_scale": SCALE * 1.01},
        {"spared": "none"},
        {"spared": "diagonal"},
        {"reverse": True},
    ],
    ids="-".join,
)
def test_a_wrong_coefficient_mask_or_direction_is_seen(wrong: dict[str, float]) -> None:
    features = four_features()
    expected = expected_penalty(*features, **wrong)  # type: ignore[arg-type]
    assert found_penalty(features) != pytest.approx(expected, rel=1e-4)


def test_a_batch_of_one_class_has_no_penalty_and_no_nan() -> None:
    v, u, v0, u0 = (torch.from_numpy(x).float() for x in four_features())
    v.requires_grad_()
    one_class = torch.zeros(6, dtype=torch.int64)
    penalty = spurious_penalty(v, u, v0, u0, one_class, SCALE)
    torch.autograd.backward(penalty)
    assert penalty.item() == 0.0
    assert v.grad is not None and not v.grad.any()
    # One image without others beside images that have some: still finite, and not zero.
    mixed = spurious_penalty(v, u, v0, u0, torch.tensor([0, 0, 0, 0, 0, 1]), 100.0)
    assert 0 < mixed.item() < 1e4


def test_without_penalty_it_is_flyp_on_the_same_captions_bit_for_bit() -> None:
    flyp, star = trainer_of("flyp"), trainer_of("starft", penalty_weight=0.0)
    penalised = trainer_of("starft")
    for _ in range(4):
        a, b, c = flyp.train_step(), star.train_step(), penalised.train_step()
        assert float(a["loss"]) == float(b["loss"])
        assert float(a["gradient_norm"]) == float(b["gradient_norm"])
    assert float(a["loss"]) != float(c["loss"])
    for p, q in zip(flyp.student.trained().values(), star.student.trained().values(), strict=True):
        assert p.grad is not None and q.grad is not None and p.grad.equal(q.grad)
        assert p.equal(q)


def test_the_penaltys_weight_falls_linearly_to_zero_in_the_last_step() -> None:
    trainer = make_trainer("starft", double=True, penalty_weight=0.7, n_steps=5)
    weights = [0.7 * share for share in (4 / 5, 3 / 5, 2 / 5, 1 / 5, 0)]
    for number, weight in enumerate(weights):
        values = {name: float(value) for name, value in trainer.train_step().items()}
        expected = values["contrastive"] + weight * values["penalty"]
        assert values["loss"] == pytest.approx(expected, rel=1e-9)
        if 0 < number < 4:
            late = values["contrastive"] + (weight + 0.7 / 5) * values["penalty"]
            assert values["loss"] != pytest.approx(late, rel=1e-9)


def test_the_penalty_at_theta0_is_zero() -> None:
    first = make_trainer("starft").train_step()
    assert float(first["penalty"]) == pytest.approx(0, abs=1e-9)  # theta0 may round otherwise


def test_the_teacher_is_theta0_of_images_texts_and_scale_whatever_has_been_trained() -> None:
    trainer = make_trainer("starft", double=True, learning_rate=1e-2)
    for _ in range(3):
        trainer.train_step()
    theta0, student = tiny_clip(), trainer.student.clip
    theta0.model.double()
    scale0 = theta0.scale
    assert abs(student.scale / scale0 - 1) > 1e-3
    images, _ = RandomBatches(6, dtype=torch.float64).batch(3)
    step = DirectStep(trainer.surroundings, 3, images, torch.from_numpy(LABELS))
    texts = student.tokenizer(step.captions(POOLS["background"]))
    with torch.no_grad():
        penalty = trainer.method.loss(step)["penalty"].item()
        v, u, v0, u0 = (
            features.numpy()
            for clip in (student, theta0)
            for features in (clip.image_features(images), clip.text_features(texts))
        )
    expected = expected_penalty(v, u, v0, u0, scale=scale0, teacher_scale=scale0)
    assert penalty == pytest.approx(expected, rel=1e-9)
    assert penalty > 1e-3


@pytest.mark.parametrize("micro", [1, 3, 7])
def test_micro_batches_do_not_change_the_step(micro: int) -> None:
    # At theta0 the penalty's true gradient is zero, so weights that only spurious captions reach
    # (later positions, the phrases' tokens) get rounding for one. Adam's usual epsilon would let
    # that rounding move them by 1e-9, and the loss with them.
    knobs = {"double": True, "n_steps": 10, "epsilon": 1e-3}
    whole = make_trainer("starft", **knobs)
    parts = make_trainer("starft", **knobs, micro_batch_size=micro)
    for number in range(10):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-9)
        assert float(b["gradient_norm"]) == pytest.approx(float(a["gradient_norm"]), rel=1e-9)
        assert (float(a["penalty"]) > 1e-9) == (number > 1)  # step 0 warms up


def test_a_spurious_caption_is_the_images_class_in_a_drawn_phrase() -> None:
    trainer = make_trainer("starft")
    pool = POOLS["background"]
    labels = torch.arange(8) % 5
    whole = step_of(trainer, 2, labels).captions(pool)
    classes = tiny_head().classes
    for caption, label in zip(whole, labels.tolist(), strict=True):
        assert caption in [template.format(classes[label]) for template in pool]
    part = step_of(trainer, 2, labels[3:6], offset=3, batch_size=8).captions(pool)
    assert part == whole[3:6]
    assert step_of(trainer, 3, labels).captions(pool) != whole


@pytest.mark.parametrize(
    ("name", "least"), [("background", 40), ("texture", 40), ("resolution", 20)]
)
def test_pools_are_ours_and_hold_templates_of_one_class(name: str, least: int) -> None:
    pool = POOLS[name]
    assert least <= len(pool) == len(set(pool)) <= 60
    assert all(template.count("{}") == 1 and template.endswith(".") for template in pool)
    assert not set(pool) & set(DEFAULT_TEMPLATES)


def trainer_of(name: str, **knobs: float) -> Trainer:
    """A run whose only template is the caption StarFT trains with."""
    head = replace(tiny_head(), templates=["a photo of a {}."])
    clip = tiny_clip()
    return Trainer(clip, head, method(name, **knobs), RandomBatches(), DrawnTexts(clip.text, 0))


def step_of(
    trainer: Trainer,
    number: int,
    labels: Tensor,
    *,
    offset: int = 0,
    batch_size: int | None = None,
) -> DirectStep:
    images = torch.zeros(len(labels), 3, 16, 16)
    around = trainer.surroundings
    return DirectStep(around, number, images, labels, offset=offset, batch_size=batch_size)
