"""The rule of `auto`: what is admissible, and which of that is kept."""

from __future__ import annotations

import pytest

from core.learning.architecture import Architecture
from core.learning.methods.auto import Auto, Point
from core.learning.methods.lipsum_ft import LipsumFT


def auto(**hyperparameters: object) -> Auto:
    return Auto(Auto.resolve(hyperparameters, n_train=1000))


def points(*rows: tuple[str, float, float, float]) -> list[Point]:
    return [Point(*row) for row in rows]


ZERO = ("member 1", 0.0, 0.700, 0.0)


def test_the_nearest_point_that_gives_up_no_more_than_the_tolerance() -> None:
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


def test_members_are_lipsum_ft_and_differ_by_their_seeds() -> None:
    method = auto(n_members=4, n_steps=7, penalty_weight=2.5)
    assert isinstance(method.member, LipsumFT)
    mine, theirs = method.member.hyperparameters, auto().member.hyperparameters
    assert (mine.n_steps, mine.penalty_weight) == (7, 2.5)
    assert mine.model_fields_set == set(LipsumFT.Hyperparameters.model_fields)
    assert theirs.learning_rate == LipsumFT.default_learning_rate
    seeds = method.member_seeds(3)
    assert seeds[0] == 3
    assert len(set(seeds)) == 4
    assert seeds == method.member_seeds(3)
    assert not set(seeds[1:]) & set(method.member_seeds(4)[1:])
    assert auto(n_members=2).member_seeds(3) == seeds[:2]


def test_it_fits_what_lipsum_ft_fits() -> None:
    for image in ("transformer", "resnet", "other"):
        for text in ("transformer", "other", "none"):
            base = Architecture(image, text)  # type: ignore[arg-type]
            assert Auto.misfit(base) == LipsumFT.misfit(base)
