"""FTP and SPD against their formulas in NumPy, in float64, and in the loop with any loss."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.learning.projections import Projection
from core.learning.projections.anchors import anchors
from core.learning.projections.ftp import FastTrainableProjection, mars_norms, within
from core.learning.projections.spd import SelectiveProjectionDecay
from core.learning.student import Student
from core.learning.trainer import Trainer
from tests.builders import make_trainer, method, tiny_clip, tiny_head

Array = np.ndarray
STEPS = 12
TENSORS = ["visual.conv1.weight", "visual.proj", "visual.class_embedding", "logit_scale"]
CLOSE = 1e-12


def small_student() -> Student:
    clip = tiny_clip()
    clip.model.double()
    head = tiny_head()
    head = replace(head, weight=head.weight.double())
    return Student(clip, head, {"image_tower", "logit_scale", "head"}, seed=0)


@dataclass
class Path:
    """Gradients and updates of one tensor, step by step, and where it went."""

    theta0: Array
    gradients: list[Array] = field(default_factory=list)
    updates: list[Array] = field(default_factory=list)
    thetas: list[Array] = field(default_factory=list)


def follow(student: Student, projection: Projection) -> dict[str, Path]:
    """Random gradients and updates of every trained tensor, each update then projected."""
    draws = np.random.default_rng(1)
    live = student.trained()
    paths = {name: Path(live[name].detach().numpy().copy()) for name in TENSORS}
    for step in range(STEPS):
        updates = {}
        for name, parameter in live.items():
            parameter.grad = torch.from_numpy(np.array(draws.normal(size=parameter.shape)))
            updates[name] = np.array(3e-3 * draws.normal(size=parameter.shape))
        projection.before_update(student)
        with torch.no_grad():
            for name, parameter in live.items():
                parameter.add_(torch.from_numpy(updates[name]))
        projection.after_update(student, step)
        for name, path in paths.items():
            gradient = live[name].grad
            assert gradient is not None
            path.gradients.append(gradient.numpy().copy())
            path.updates.append(updates[name])
            path.thetas.append(live[name].detach().numpy().copy())
    return paths


def rows(x: Array) -> Array:
    """(R, C): a row for each index of the first dimension; one row of vectors and scalars."""
    flat: Array = x.reshape(len(x), -1) if x.ndim > 1 else x.reshape(1, -1)
    return flat


def ftp(path: Path, k: float, mu: float = 0.01) -> tuple[list[Array], dict[str, int]]:
    """The paper's algorithm, and how often each case of it arose."""
    cases = {"positive": 0, "negative": 0, "cut": 0, "kept": 0}
    theta0, theta, gamma = rows(path.theta0), rows(path.theta0), 1e-8
    m = v = 0.0
    found = []
    direction = np.zeros_like(theta0)
    for t, (g, update) in enumerate(zip(path.gradients, path.updates, strict=True), start=1):
        free = theta + rows(update)
        c = free - theta0
        norms = np.abs(c).sum(axis=1, keepdims=True) + 1e-8
        if t > 1:
            d = float((rows(g) * direction).sum())
            cases["positive" if d > 0 else "negative"] += 1
            d = k * d if d > 0 else d
            m, v = 0.9 * m + 0.1 * d, 0.999 * v + 0.001 * d**2
            gamma -= mu * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            gamma = min(max(gamma, 1e-8), float(norms.max()))
        direction = c / norms
        ratio = np.minimum(1.0, gamma / norms)
        cases["cut"] += int((ratio < 1).sum())
        cases["kept"] += int((ratio == 1).sum())
        theta = theta0 + ratio * c
        found.append(theta.reshape(path.theta0.shape))
    return found, cases


def spd(path: Path, strength: float) -> tuple[list[Array], dict[str, int]]:
    """The paper's equations 3, 4 and 9, and how often each case arose."""
    cases = {"pulled": 0, "free": 0}
    theta, found = path.theta0, []
    for g, update in zip(path.gradients, path.updates, strict=True):
        c = -float((g * (theta - path.theta0)).sum())
        before = np.sqrt(((theta - path.theta0) ** 2).sum())
        theta = theta + update
        after = np.sqrt(((theta - path.theta0) ** 2).sum())
        r = max(0.0, after - before) / after
        cases["pulled" if c < 0 and r > 0 else "free"] += 1
        if c < 0:
            theta = theta - strength * r * (theta - path.theta0)
        found.append(theta)
    return found, cases


def furthest(path: Path, expected: list[Array]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(path.thetas, expected, strict=True))


@pytest.mark.parametrize("k", [1.0, 0.3, 0.0])
def test_ftp_equals_its_formula(k: float) -> None:
    student = small_student()
    paths = follow(student, FastTrainableProjection(student, k)).values()
    total: dict[str, int] = {}
    for path in paths:
        expected, cases = ftp(path, k)
        assert furthest(path, expected) < CLOSE
        total = {case: total.get(case, 0) + n for case, n in cases.items()}
    assert min(total.values()) > 0, total  # every case of the formula arose
    assert max(furthest(path, ftp(path, k, mu=0.01001)[0]) for path in paths) > 1e-7
    assert max(furthest(path, ftp(path, k + 1e-3)[0]) for path in paths) > 1e-7


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_spd_equals_its_formula(strength: float) -> None:
    student = small_student()
    total: dict[str, int] = {}
    off = 0.0
    for path in follow(student, SelectiveProjectionDecay(student, strength)).values():
        expected, cases = spd(path, strength)
        assert furthest(path, expected) < CLOSE
        total = {case: total.get(case, 0) + n for case, n in cases.items()}
        off = max(off, furthest(path, spd(path, strength * 1.001)[0]))
    assert min(total.values()) > 0, total
    assert off > 1e-7


def test_a_radius_of_zero_keeps_theta0_and_an_infinite_one_changes_nothing() -> None:
    draws = torch.Generator().manual_seed(0)
    theta0, theta = torch.randn(2, 5, 4, generator=draws)
    norms = mars_norms(theta - theta0)
    assert within(theta0, theta, torch.tensor(0.0), norms).equal(theta0)
    assert within(theta0, theta, torch.tensor(float("inf")), norms).equal(theta)


def test_a_radius_beyond_every_row_leaves_an_update_as_it_is() -> None:
    student = small_student()
    projection = FastTrainableProjection(student, 1.0)
    follow(student, projection)
    for constraint in projection.constraints.values():
        constraint.radius.fill_(float("inf"))
    live = student.trained()
    with torch.no_grad():
        for parameter in live.values():
            parameter.add_(0.01)
    before = {name: parameter.detach().clone() for name, parameter in live.items()}
    projection.after_update(student, STEPS)
    assert all(before[name].equal(live[name].detach()) for name in live)


def test_the_head_is_left_free_and_added_parameters_are_not() -> None:
    student = small_student()
    student.added["adapter"] = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    assert set(student.trained()) - set(anchors(student)) == {"head"}
    assert "adapter" in anchors(student)


@pytest.mark.parametrize("name", ["ft", "lipsum_ft", "flyp"])
def test_spd_with_strength_zero_changes_nothing(name: str) -> None:
    plain = make_trainer(name)
    projected = make_trainer(name, projection="spd", projection_strength=0.0)
    for _ in range(5):
        assert float(plain.train_step()["loss"]) == float(projected.train_step()["loss"])
    for a, b in zip(plain._trained, projected._trained, strict=True):
        assert a.detach().equal(b.detach())


def distances(trainer: Trainer, theta0: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of every tensor's rows, the largest sum of magnitudes of its change."""
    live = trainer.student.trained()
    return {name: mars_norms(live[name].detach() - value).max() for name, value in theta0.items()}


@pytest.mark.parametrize("name", ["ft", "flyp", "lp_ft"])
def test_ftp_keeps_a_run_within_its_radii(name: str) -> None:
    knobs: dict[str, Any] = {"learning_rate": 1e-2, "n_steps": 8}
    free = make_trainer(name, double=True, **knobs)
    trainer = make_trainer(name, double=True, projection="ftp", **knobs)
    theta0 = anchors(trainer.student)
    for _ in range(8):
        trainer.train_step()
        free.train_step()
    assert isinstance(trainer.projection, FastTrainableProjection)
    radii = trainer.projection.constraints
    reached, without = distances(trainer, theta0), distances(free, theta0)
    assert set(radii) <= set(theta0) and "head" not in radii
    for tensor, constraint in radii.items():
        assert float(reached[tensor]) <= float(constraint.radius) * (1 + 1e-9) + 1e-8
    assert sum(map(float, reached.values())) < 0.5 * sum(map(float, without.values()))
    if name == "lp_ft":  # the tower's first update is step 1's, behind one step of probing
        assert {constraint.first_step for constraint in radii.values()} == {1}


def test_spd_keeps_a_run_nearer_to_where_it_began() -> None:
    knobs: dict[str, Any] = {"learning_rate": 1e-2, "n_steps": 12}
    free, trainer = (make_trainer("ft", projection=p, **knobs) for p in ("none", "spd"))
    theta0 = anchors(trainer.student)
    for _ in range(12):
        trainer.train_step()
        free.train_step()
    reached, without = distances(trainer, theta0), distances(free, theta0)
    assert sum(map(float, reached.values())) < sum(map(float, without.values()))


@pytest.mark.parametrize("projection", ["ftp", "spd"])
def test_projections_do_not_depend_on_micro_batches(projection: str) -> None:
    whole, parts = (
        make_trainer("flyp", double=True, projection=projection, micro_batch_size=m) for m in (8, 3)
    )
    for _ in range(6):
        a, b = whole.train_step(), parts.train_step()
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-9)


def test_a_strength_beyond_ftps_k_is_refused() -> None:
    with pytest.raises(ValueError, match="projection_strength is 2; with ftp it must be at most 1"):
        method("ft", projection="ftp", projection_strength=2)
    assert method("ft", projection="spd", projection_strength=2)
