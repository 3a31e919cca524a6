"""Each penalty on a fixed batch in float64 against its paper's formula in NumPy.

A formula is a function of its coefficient; the value with the coefficient a thousandth off must
not match, so no test passes by looseness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from core.learning.methods.base import TrainingMethod
from core.learning.methods.lipsum_ft import expected_penalty, lipsum_penalty
from core.learning.schedule import Schedule
from tests.builders import make_trainer, method
from tests.unit.learning.fixed_step import FixedStep, softmax

CLOSE = 1e-9


def loss_of(name: str, step: FixedStep, **knobs: Any) -> float:
    used = method(name, **knobs)
    used.attach(step.student)
    return float(used.loss(step)["loss"])  # type: ignore[arg-type]


def check(found: float, formula: Callable[[float], float], coefficient: float) -> None:
    assert found == pytest.approx(formula(coefficient), rel=CLOSE)
    assert found != pytest.approx(formula(coefficient * 1.001), rel=CLOSE)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float((p * np.log(p / q)).sum(axis=1).mean())


def test_lipsum_ft_equals_its_formula() -> None:
    step = FixedStep()
    a, s = step.arrays, step.scale

    def formula(weight: float) -> float:
        total = 0.0
        for b in range(6):
            for m in range(7):
                change = s * a["f"][b] @ a["texts"][m] - s * a["f0"][b] @ a["texts"][m]
                total += change**2 / (2 * 7)
        return step.expected_cross_entropy() + weight * total / 6

    check(loss_of("lipsum_ft", step, penalty_weight=0.7), formula, 0.7)


def test_lipsum_ft_on_features_equals_its_formula() -> None:
    step = FixedStep()
    a, s = step.arrays, step.scale
    distance = ((a["f"] - a["f0"]) ** 2).sum(axis=1).mean()

    def formula(weight: float) -> float:
        return step.expected_cross_entropy() + weight * s**2 / (2 * 4) * float(distance)

    check(loss_of("lipsum_ft", step, penalty_weight=0.7, texts="features"), formula, 0.7)


def test_lipsum_penalty_in_closed_form_equals_the_sampled_one() -> None:
    step = FixedStep()
    f, f0, g = (torch.from_numpy(step.arrays[name]) for name in ("f", "f0", "texts"))
    sampled = float(lipsum_penalty(f, f0, g, step.scale))
    moment = torch.from_numpy(step.arrays["texts"].T @ step.arrays["texts"] / 7)
    assert float(expected_penalty(f, f0, moment, step.scale)) == pytest.approx(sampled, rel=CLOSE)
    assert float(expected_penalty(f, f0, moment * 1.001, step.scale)) != pytest.approx(
        sampled, rel=CLOSE
    )


def test_kd_equals_its_formula() -> None:
    step = FixedStep()
    a, s, t = step.arrays, step.scale, 2.5

    def formula(weight: float) -> float:
        teacher = softmax(s * a["f0"] @ a["head0"] / t)
        student = softmax(s * a["f"] @ a["head"] / t)
        return step.expected_cross_entropy() + weight * t**2 * kl(teacher, student)

    check(loss_of("kd", step, penalty_weight=0.7, distillation_temperature=t), formula, 0.7)


def test_car_ft_equals_its_formula() -> None:
    step = FixedStep()
    a, s = step.arrays, step.scale

    def formula(weight: float) -> float:
        teacher, student = (softmax(s * a[name] @ a["contexts"]) for name in ("f0", "f"))
        return step.expected_cross_entropy() + weight * kl(teacher, student)

    check(loss_of("car_ft", step, penalty_weight=0.7), formula, 0.7)


def test_l2sp_equals_its_formula() -> None:
    step = FixedStep()
    draws = np.random.default_rng(3)
    start, moved = draws.normal(size=(2, 5)), draws.normal(size=(2, 5))
    step.student.weights = {"a": torch.from_numpy(start[0]), "b": torch.from_numpy(start[1])}
    used = method("l2sp", penalty_weight=0.7)
    used.attach(step.student)
    step.student.weights = {"a": torch.from_numpy(moved[0]), "b": torch.from_numpy(moved[1])}

    def formula(weight: float) -> float:
        return step.expected_cross_entropy() + weight / 2 * float(((moved - start) ** 2).sum())

    check(float(used.loss(step)["loss"]), formula, 0.7)  # type: ignore[arg-type]


def test_kd_with_the_teacher_as_student_has_zero_loss_and_gradient() -> None:
    for temperature in (1.0, 2.5):
        trainer = make_trainer("kd", double=True, distillation_temperature=temperature)
        with_term = trainer.train_step()
        assert float(with_term["penalty"]) == pytest.approx(0.0, abs=1e-15)
        plain = make_trainer("ft", double=True).train_step()
        assert float(with_term["gradient_norm"]) == pytest.approx(
            float(plain["gradient_norm"]), rel=1e-12
        )


@pytest.mark.parametrize("name", ["kd", "car_ft", "l2sp", "lipsum_ft"])
def test_a_weight_of_zero_is_plain_fine_tuning(name: str) -> None:
    plain, other = make_trainer("ft"), make_trainer(name, penalty_weight=0.0)
    for _ in range(3):
        assert float(plain.train_step()["loss"]) == float(other.train_step()["loss"])


@pytest.mark.parametrize("name", ["kd", "car_ft", "l2sp"])
def test_penalties_do_not_depend_on_micro_batches(name: str) -> None:
    whole, parts = (make_trainer(name, double=True, micro_batch_size=m) for m in (8, 3))
    for _ in range(4):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=CLOSE)
        assert float(b["gradient_norm"]) == pytest.approx(float(a["gradient_norm"]), rel=CLOSE)


def test_ema_is_the_explicit_weighted_sum_of_the_trajectory() -> None:
    decay, n = 0.9, 5
    trainer = make_trainer("ema", double=True, n_steps=n, ema_decay=decay)
    path = [{k: v.detach().clone() for k, v in trainer.student.trained().items()}]
    for _ in range(n):
        trainer.train_step()
        path.append({k: v.detach().clone() for k, v in trainer.student.trained().items()})
    shares = [decay**n, *((1 - decay) * decay ** (n - t) for t in range(1, n + 1))]
    assert sum(shares) == pytest.approx(1.0)
    state = trainer.state()
    for name, value in {**state.weights, "head": state.head.weight}.items():
        if name not in path[0]:
            continue
        expected = sum(s * at[name].numpy() for s, at in zip(shares, path, strict=True))
        assert np.abs(value.numpy() - expected).max() < 1e-12
    live = trainer.student.trained()["head"].detach()
    assert not live.equal(state.head.weight)  # training itself goes on from its own weights
    assert live.equal(path[-1]["head"])


def test_lp_ft_probes_the_head_and_then_trains_all() -> None:
    trainer = make_trainer("lp_ft", n_steps=10, probe_fraction=0.4, warmup_fraction=0.0)
    before = {k: v.detach().clone() for k, v in trainer.student.trained().items()}
    for _ in range(4):
        trainer.train_step()
    after = trainer.student.trained()
    assert {k for k in before if not before[k].equal(after[k].detach())} == {"head"}
    trainer.train_step()
    after = trainer.student.trained()
    assert not before["visual.proj"].equal(after["visual.proj"].detach())


def test_lp_ft_has_a_schedule_for_each_phase() -> None:
    used = method("lp_ft", probe_fraction=0.2, probe_learning_rate=1e-2)
    schedule = Schedule(1e-5, 100, 10)
    assert used.learning_rate("head", 0, schedule) == 1e-2
    assert used.learning_rate("image_tower", 19, schedule) == 0.0
    assert used.learning_rate("head", 19, schedule) < 1e-4
    assert used.learning_rate("image_tower", 20, schedule) == 0.0  # warm-up starts at zero
    assert used.learning_rate("image_tower", 28, schedule) == 1e-5


def test_template_texts_are_captions_of_the_classes_and_differ_by_step() -> None:
    trainer = make_trainer("lipsum_ft", texts="templates", n_texts=4)
    used: TrainingMethod = trainer.method
    seen = []

    class Recording(FixedStep):
        def zero_shot_text_features(self, texts: list[str]) -> torch.Tensor:
            seen.append(texts)
            return self._tensor("texts")

    for number in (0, 0, 1):
        step = Recording(number=number)
        step.student = trainer.student
        used.loss(step)  # type: ignore[arg-type]
    assert seen[0] == seen[1] != seen[2]
    captions = {
        template.format(name)
        for template in trainer.student.start.templates
        for name in trainer.student.start.classes
    }
    assert all(set(texts) <= captions and len(texts) == 4 for texts in seen)
