"""The rule of `auto`: the mixture of each end, its points, what is admissible and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.learning.architecture import Architecture
from core.learning.calibration import confidence_matching_temperature
from core.learning.gated import CEILINGS, Point, Seen, gated, points_of
from core.learning.methods.auto import Auto
from core.learning.methods.lipsum_ft import LipsumFT
from core.learning.mixtures import VrfMixture
from tests.unit.learning.fixed_step import softmax, unit

Array = np.ndarray

N, D, K = 60, 6, 4


def auto(**hyperparameters: object) -> Auto:
    return Auto(Auto.resolve(hyperparameters, n_train=1000))


def points(*rows: tuple[str, float, float, float]) -> list[Point]:
    return [Point(*row) for row in rows]


ZERO = ("member 1", 0.0, 0.700, 0.0)


def test_the_least_moved_point_that_gives_up_no_more_than_the_tolerance() -> None:
    found = points(
        ZERO,
        ("member 1", 0.5, 0.794, 0.02),
        ("member 1", 0.7, 0.796, 0.04),
        ("member 1", 1.0, 0.800, 0.09),
        ("mean", 0.6, 0.795, 0.03),
    )
    assert auto(tolerance=0.005).choose(found) == found[4]
    assert auto(tolerance=0.004).choose(found) == found[2]
    assert auto(tolerance=0).choose(found) == found[3]
    assert auto(tolerance=1).choose(found) == found[0]


def test_what_lies_exactly_at_the_tolerance_is_in() -> None:
    found = points(ZERO, ("member 1", 1.0, 0.705, 0.1))
    assert auto(tolerance=0.005).choose(found) == found[0]  # 0.705 - 0.005 > 0.7 in binary


def test_of_equals_the_first() -> None:
    found = points(("member 1", 0.5, 0.8, 0.02), ("mean", 0.5, 0.8, 0.02))
    assert auto().choose(found) == found[0]


def test_no_points() -> None:
    with pytest.raises(ValueError, match="empty"):
        auto().choose([])


def arrays(seed: int, n: int = N) -> dict[str, Array]:
    """Two models that are right more often than not, on different images."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, K, n)
    right = 2.0 * np.eye(K)[labels]
    return {
        "features": unit(draws.normal(size=(n, D))),
        "tuned": right + draws.normal(size=(n, K)),
        "zero_shot": 0.7 * right + draws.normal(size=(n, K)),
        "labels": labels,
    }


def seen(given: dict[str, Array]) -> Seen:
    return Seen(*(torch.from_numpy(array) for array in given.values()))


def nearest(features: Array, bank: Array) -> Array:
    found: Array = ((features[:, None] - bank[None]) ** 2).sum(axis=2).min(axis=1)
    return found


def test_the_mixture_is_the_formula() -> None:
    training, validation = arrays(1), arrays(2)
    found = gated(seen(training), seen(validation))
    corrected = (training["tuned"].argmax(axis=1) == training["labels"]) & (
        training["zero_shot"].argmax(axis=1) != training["labels"]
    )
    bank = training["features"][corrected]
    assert np.allclose(found.bank_VD.numpy(), bank, atol=1e-6)
    d = nearest(validation["features"], bank).mean()
    assert found.constants() == {
        "k": 1,
        "a": pytest.approx(1.5 * d, rel=1e-5),
        "b": pytest.approx(0.5 * d, rel=1e-5),
        "T_zs": temperature(validation, "zero_shot"),
        "T_ft": temperature(validation, "tuned"),
    }


def temperature(given: dict[str, Array], model: str) -> float:
    labels = torch.from_numpy(given["labels"])
    return confidence_matching_temperature(torch.from_numpy(given[model]), labels)


def test_points_are_what_the_mixture_answers_at_each_ceiling() -> None:
    training, validation, marked = arrays(1), arrays(2), arrays(3)
    mixture = gated(seen(training), seen(validation))
    found = points_of("mean", mixture, [seen(validation), seen(marked)])
    assert [(point.end, point.ceiling) for point in found] == [("mean", h) for h in CEILINGS]
    bank, (k, a, b, t_zs, t_ft) = mixture.bank_VD.numpy(), mixture.constants().values()
    assert k == 1
    for point in found:
        shares, moved = [], []
        for given in (validation, marked):
            omega = 1 / (1 + np.exp((nearest(given["features"], bank) - a) / b))[:, None]
            zero_shot = softmax(given["zero_shot"] / t_zs)
            weight = point.ceiling * omega
            answers = weight * softmax(given["tuned"] / t_ft) + (1 - weight) * zero_shot
            shares.append((answers.argmax(axis=1) == given["labels"]).mean())
            moved.append(np.abs(answers - zero_shot).sum(axis=1).mean() / 2)
        assert point.accuracy == pytest.approx(np.mean(shares))
        assert point.moved == pytest.approx(moved[0], rel=1e-5)  # of the ID validation split
    assert found[0].moved == 0 < found[-1].moved
    assert len({point.accuracy for point in found}) > 1


def test_where_nothing_is_corrected_the_ceiling_alone_says_how_much_the_end_counts() -> None:
    training, validation = arrays(1), arrays(2)
    training["tuned"] = training["zero_shot"]
    mixture = gated(seen(training), seen(validation))
    assert len(mixture.bank_VD) == 0
    last = points_of("member 1", mixture, [seen(validation)])[-1]
    right = validation["tuned"].argmax(axis=1) == validation["labels"]
    assert last.accuracy == pytest.approx(right.mean())


def test_validation_images_in_the_bank_leave_a_gate_that_can_be_stored() -> None:
    training = arrays(1)
    corrected = (training["tuned"].argmax(axis=1) == training["labels"]) & (
        training["zero_shot"].argmax(axis=1) != training["labels"]
    )
    within = {name: array[corrected] for name, array in training.items()}
    mixture = gated(seen(training), seen(within))
    assert isinstance(mixture, VrfMixture)
    assert 0 < mixture.b < 1e-3


def test_members_are_lipsum_ft_at_rising_rates() -> None:
    method = auto(n_members=3, n_steps=7, penalty_weight=2.5, learning_rate=1e-3)
    (first, seed), *further = method.members(3)
    assert isinstance(first, LipsumFT)
    assert seed == 3
    assert (first.hyperparameters.n_steps, first.hyperparameters.penalty_weight) == (7, 2.5)
    assert first.hyperparameters.model_fields_set == set(LipsumFT.Hyperparameters.model_fields)
    rates = [member.hyperparameters.learning_rate for member, _ in method.members(3)]
    assert rates == pytest.approx([1e-3, 3e-3, 9e-3])
    seeds = [own for _, own in further]
    assert len({seed, *seeds}) == 3
    assert seeds == [own for _, own in method.members(3)[1:]]
    assert not set(seeds) & {own for _, own in method.members(4)}
    assert [own for _, own in auto().members(3)] == [seed, seeds[0]]


def test_no_rate_is_beyond_what_a_recipe_takes() -> None:
    rates = [
        member.hyperparameters.learning_rate for member, _ in auto(learning_rate=0.5).members(0)
    ]
    assert rates == [0.5, 1.0]


def test_the_first_rate_is_lipsum_fts() -> None:
    assert auto().members(0)[0][0].hyperparameters.learning_rate == LipsumFT.default_learning_rate


def test_it_fits_what_lipsum_ft_fits() -> None:
    for image in ("transformer", "resnet", "other"):
        for text in ("transformer", "other", "none"):
            base = Architecture(image, text)  # type: ignore[arg-type]
            assert Auto.misfit(base) == LipsumFT.misfit(base)
