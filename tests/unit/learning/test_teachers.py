"""CaRot, TRACER and the averages their teachers are, in float64 against formulas in NumPy.

A loss is compared with its formula on the features of a real model whose weights were moved away
from its teacher's; with any coefficient a thousandth off the two must not match.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from scipy import stats

from core.learning.architecture import Architecture
from core.learning.end_projections import end_projections
from core.learning.methods import registry
from core.learning.models import Clip
from core.learning.steps import DirectStep
from core.learning.trainer import Trainer
from tests.builders import TINY_TEXT, make_trainer, tiny_clip

CLOSE = 1e-9
Array = np.ndarray


def moved(name: str, **knobs: Any) -> Trainer:
    """A run whose student stands well away from its teacher, theta0."""
    trainer = make_trainer(name, double=True, **knobs)
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in trainer.student.trained().values():
            noise = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    return trainer


def seen(trainer: Trainer) -> tuple[dict[str, float], dict[str, Array]]:
    """The losses of a step, and the arrays that its formula is about."""
    number = 3
    step = DirectStep(trainer.surroundings, number, *trainer.batches.batch(number))
    found = {name: float(value.detach()) for name, value in trainer.method.loss(step).items()}
    teacher: Clip = trainer.method.teacher  # type: ignore[attr-defined]
    texts = step.captions(step.student.start.templates)
    model: Any = trainer.student.clip.model
    tensors = {
        "v": step.image_features(),
        "u": step.text_features(texts),
        "v_t": step.frozen_image_features(teacher),
        "u_t": step.frozen_text_features(teacher, texts),
        "w_v": model.visual.proj,
        "w_t": model.text_projection,
        "s": model.logit_scale.exp(),
        "s_t": teacher.model.logit_scale.exp(),  # type: ignore[operator]
    }
    return found, {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def log_softmax(z: Array) -> Array:
    logs: Array = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return logs


def nll(z: Array) -> float:
    return float(-np.diag(log_softmax(z)).mean())


def kl(taught: Array, z: Array) -> float:
    p = np.exp(log_softmax(taught))
    return float((p * (log_softmax(taught) - log_softmax(z))).sum(axis=1).mean())


def cross_entropy(taught: Array, z: Array) -> float:
    return float(-(np.exp(log_softmax(taught)) * log_softmax(z)).sum(axis=1).mean())


def check(found: float, formula: Callable[..., float], coefficients: dict[str, float]) -> None:
    assert found == pytest.approx(formula(**coefficients), rel=CLOSE)
    for name, value in coefficients.items():
        wrong = formula(**{**coefficients, name: value * 1.001})
        assert found != pytest.approx(wrong, rel=CLOSE), name


def test_carots_loss_equals_its_formula() -> None:
    losses, a = seen(moved("carot"))

    def formula(cross: float, orthogonality: float, distillation: float) -> float:
        z, taught = a["s"] * a["v"] @ a["u"].T, a["s_t"] * a["v_t"] @ a["u_t"].T
        w = a["w_v"]
        return (
            (nll(z) + nll(z.T)) / 2
            + cross * np.sqrt(((w @ a["w_t"].T) ** 2).sum())
            + orthogonality * np.sqrt(((w.T @ w - np.eye(8)) ** 2).sum())
            + distillation * (cross_entropy(taught, z) + cross_entropy(taught.T, z.T))
        )

    check(losses["loss"], formula, {"cross": 0.05, "orthogonality": 0.2, "distillation": 1.5})


def test_tracers_loss_equals_its_formula() -> None:
    losses, a = seen(moved("tracer"))

    def formula(cross: float, sd: float, fd: float, crd: float, icl: float, x: float) -> float:
        s, v, u, v_t, u_t = (a[name] for name in ("s", "v", "u", "v_t", "u_t"))
        z, taught = s * v @ u.T, a["s_t"] * v_t @ u_t.T
        features = ((v - v_t) ** 2).mean() + ((u - u_t) ** 2).mean()
        relation = (kl(taught, z) + kl(taught.T, z.T)) / 2
        interaction = (nll(s * v @ u_t.T) + nll(s * u @ v_t.T)) / 2
        crossed = (kl(taught, s * v @ u_t.T) + kl(taught.T, s * u @ v_t.T)) / 2
        distilled = fd * features + crd * relation + icl * interaction + x * crossed
        frobenius = np.sqrt(((a["w_v"] @ a["w_t"].T) ** 2).sum())
        return float((nll(z) + nll(z.T)) / 2 + cross * frobenius + sd * distilled)

    coefficients = {"cross": 0.05, "sd": 0.9, "fd": 2000.0, "crd": 1.0, "icl": 1.0, "x": 1.0}
    check(losses["loss"], formula, coefficients)


@pytest.mark.parametrize("name", ["carot", "tracer"])
def test_a_teacher_starts_as_theta0(name: str) -> None:
    trainer = make_trainer(name)
    theta0 = tiny_clip().model.state_dict()
    taught = trainer.method.teacher.model.state_dict()  # type: ignore[attr-defined]
    assert all(theta0[key].equal(taught[key]) for key in theta0)
    live = trainer.student.trained()
    teachers = dict(trainer.method.teacher.model.named_parameters())  # type: ignore[attr-defined]
    assert all(teachers[key].data_ptr() != live[key].data_ptr() for key in live)
    assert not any(parameter.requires_grad for parameter in teachers.values())


def test_tracers_distillation_at_theta0_is_the_contrastive_loss() -> None:
    first = make_trainer("tracer", double=True).train_step()
    assert float(first["distillation"]) == pytest.approx(float(first["contrastive"]), rel=1e-12)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_else_of_tracers_distillation_is_exactly_zero_at_theta0(precision: str) -> None:
    first = make_trainer("tracer", precision=precision, interaction_weight=0.0).train_step()
    assert float(first["distillation"]) == 0.0


def test_carots_distillation_at_theta0_is_the_entropy_and_has_no_gradient() -> None:
    losses, a = seen(make_trainer("carot", double=True))
    z = a["s"] * a["v"] @ a["u"].T
    expected = cross_entropy(z, z) + cross_entropy(z.T, z.T)
    assert losses["distillation"] == pytest.approx(expected, rel=CLOSE)
    with_term = make_trainer("carot", double=True).train_step()
    without = make_trainer("carot", double=True, distillation_weight=0.0).train_step()
    assert float(with_term["gradient_norm"]) == pytest.approx(
        float(without["gradient_norm"]), rel=1e-12
    )


def weights_of(trainer: Trainer) -> dict[str, Array]:
    return {k: v.detach().numpy().copy() for k, v in trainer.student.trained().items()}


def distance_to(trainer: Trainer, path: list[dict[str, Array]], shares: list[float]) -> float:
    """How far the teacher is from the sum of the path's weights by those shares."""
    assert sum(shares) == pytest.approx(1.0)
    teacher = trainer.method.teacher.model.state_dict()  # type: ignore[attr-defined]
    gaps = []
    for name in path[0]:
        expected = sum(share * at[name] for share, at in zip(shares, path, strict=True))
        gaps.append(np.abs(teacher[name].numpy() - expected).max())
    return float(max(gaps))


def test_the_beta_average_is_the_weighted_mean_of_the_trajectory() -> None:
    n = 6
    trainer = make_trainer("tracer", double=True, n_steps=n)
    path = [weights_of(trainer)]
    omega = stats.beta(0.5, 0.5).pdf((np.arange(n + 1) + 0.5) / (n + 1))
    for t in range(1, n + 1):
        trainer.train_step()
        path.append(weights_of(trainer))
        assert distance_to(trainer, path, list(omega[: t + 1] / omega[: t + 1].sum())) < 1e-12
    late = list(omega[1:] / omega[1:].sum())
    assert distance_to(trainer, path[1:], late) > 1e-5  # theta0 counts
    other = stats.beta(0.501, 0.501).pdf((np.arange(n + 1) + 0.5) / (n + 1))
    assert distance_to(trainer, path, list(other / other.sum())) > 1e-9


def test_the_exponential_average_is_the_explicit_sum_of_what_it_met() -> None:
    trainer = make_trainer("carot", double=True, n_steps=20, teacher_interval=2)
    met, momenta = [weights_of(trainer)], [0.05, 0.475, 0.9]  # behind steps 0, 2 and 4 of 20
    for step in range(6):
        trainer.train_step()
        if step % 2 == 0:
            met.append(weights_of(trainer))
    shares = [float(np.prod(momenta))]
    shares += [(1 - m) * float(np.prod(momenta[k + 1 :])) for k, m in enumerate(momenta)]
    assert distance_to(trainer, met, shares) < 1e-12
    wrong = [shares[0] + 1e-3, *shares[1:-1], shares[-1] - 1e-3]
    assert distance_to(trainer, met, wrong) > 1e-9


@pytest.mark.parametrize(
    ("n_steps", "asked", "interval"),
    [(25_020, "auto", 500), (1000, "auto", 20), (30, "auto", 1), (1000, 7, 7)],
)
def test_carots_interval_fits_the_run(n_steps: int, asked: int | str, interval: int) -> None:
    chosen = registry()["carot"].resolve(
        {"n_steps": n_steps, "teacher_interval": asked}, n_train=1000
    )
    assert chosen["teacher_interval"] == interval


@pytest.mark.parametrize("name", ["carot", "tracer"])
def test_micro_batches_equal_the_large_batch(name: str) -> None:
    whole = make_trainer(name, double=True)
    parts = make_trainer(name, double=True, micro_batch_size=3)
    for _ in range(6):
        a, b = whole.train_step(), parts.train_step()
        for value in ("loss", "distillation", "gradient_norm"):
            assert float(b[value]) == pytest.approx(float(a[value]), rel=CLOSE), value


def test_projections_are_found_at_the_end_of_either_tower() -> None:
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
    resnet: Any = open_clip.CustomTextCLIP(8, vision, {**TINY_TEXT, "proj_bias": True})
    w_v, w_t = end_projections(Clip(resnet, open_clip.SimpleTokenizer(), {}, {}))
    assert w_v.equal(resnet.visual.attnpool.c_proj.weight.T)
    assert w_t.equal(resnet.text.text_projection.weight.T)
    assert w_v.shape == (8 * 32, 8) and w_t.shape == (16, 8)
    plain = tiny_clip()
    model: Any = plain.model
    w_v, w_t = end_projections(plain)
    assert w_v is model.visual.proj and w_t is model.text_projection
    bare = tiny_clip(custom_text=True, proj_type="none")
    with pytest.raises(ValueError, match="text tower does not end in a linear projection"):
        end_projections(bare)


@pytest.mark.parametrize("name", ["carot", "tracer"])
def test_a_base_without_projections_is_refused(name: str) -> None:
    misfit = registry()[name].misfit
    assert misfit(Architecture("resnet", "transformer")) is None
    assert misfit(Architecture()) is None
    assert "image tower does not end in" in str(misfit(Architecture("other", "transformer")))
    assert "text tower does not end in" in str(misfit(Architecture("transformer", "other")))
    assert "has none" in str(misfit(Architecture("transformer", "none")))
