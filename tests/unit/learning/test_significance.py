"""Paired comparisons against sums written out and against a plain, slow bootstrap."""

import math

import numpy as np
import pytest

from core.learning.significance import (
    holm,
    mcnemar,
    mcnemar_over_splits,
    paired_bootstrap,
)


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


def exact_p(only_a: int, only_b: int) -> float:
    """Two-sided sign test: twice the smaller tail of Binomial(n, 1/2)."""
    n, smaller = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(smaller + 1)) / 2**n)


@pytest.mark.parametrize(("only_a", "only_b"), [(9, 2), (2, 9), (5, 5), (1, 0), (0, 12), (40, 25)])
def test_mcnemar_is_the_exact_sign_test_of_discordant_images(only_a: int, only_b: int) -> None:
    found = mcnemar(*answers(30, only_a, only_b, 20))
    n = 50 + only_a + only_b
    assert (found.only_a, found.only_b, found.n) == (only_a, only_b, n)
    assert found.difference == pytest.approx((only_a - only_b) / n)
    assert found.p == found.p_holm == pytest.approx(exact_p(only_a, only_b))
    # Half an image added to each of the four cells, then Wald.
    b, c, m = only_a + 0.5, only_b + 0.5, n + 2
    half = 1.959963984540054 * math.sqrt(b + c - (b - c) ** 2 / m) / m
    assert (found.low, found.high) == pytest.approx(((b - c) / m - half, (b - c) / m + half))


def test_mcnemar_of_models_that_answer_alike() -> None:
    found = mcnemar(*answers(3, 0, 0, 2))
    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.low < 0 < found.high
    for right in (True, False):
        alone = mcnemar(np.array([right]), np.array([right]))
        assert (alone.n, alone.p, alone.difference) == (1, 1.0, 0.0)


def test_mcnemar_of_opposites_stays_within_one() -> None:
    one = mcnemar(np.array([True]), np.array([False]))
    assert (one.difference, one.p, one.high) == (1.0, 1.0, 1.0)
    assert mcnemar(np.array([False]), np.array([True])).low == -1.0


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .2 -> x4 .04, x3 .06, x2 .06, x1 .2; p never falls.
    found = holm({"a": 0.03, "b": 0.01, "c": 0.2, "d": 0.02})
    assert found == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.2, "d": 0.06})
    assert list(found) == ["a", "b", "c", "d"]
    assert holm({"a": 0.04, "b": 0.02, "c": 0.025}) == pytest.approx(
        {"a": 0.06, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.3}) == {"a": 0.3}
    assert holm({}) == {}
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="p value of 'a'"):
            holm({"a": bad, "b": 0.5})


def test_mcnemar_over_splits_corrects_p_and_nothing_else() -> None:
    pairs = {"sketch": answers(30, 9, 1, 20), "clipart": answers(10, 12, 1, 0)}
    a = {split: pair[0] for split, pair in pairs.items()}
    b = {split: pair[1] for split, pair in pairs.items()}
    found = mcnemar_over_splits(a, b)
    assert found["clipart"].p_holm == pytest.approx(2 * exact_p(12, 1))
    assert found["sketch"].p_holm == pytest.approx(exact_p(9, 1))
    assert found["sketch"].p == pytest.approx(exact_p(9, 1))
    assert (found["clipart"].n, found["sketch"].n) == (23, 60)
    with pytest.raises(ValueError, match="only one side was scored on clipart"):
        mcnemar_over_splits(a, {"sketch": b["sketch"]})


def runs(n_seeds: int, n_images: int, gain: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two methods whose images differ in difficulty and whose seeds differ in strength."""
    draws = np.random.default_rng(seed)
    ease = draws.normal(0.8, 1.0, n_images)
    strength_a, strength_b = draws.normal(0, 0.3, (2, n_seeds, 1))
    a = ease + strength_a + gain + draws.normal(0, 0.5, (n_seeds, n_images)) > 0
    b = ease + strength_b + draws.normal(0, 0.5, (n_seeds, n_images)) > 0
    return a, b


def plain_bootstrap(
    a: dict[str, np.ndarray], b: dict[str, np.ndarray], n_draws: int
) -> tuple[float, float]:
    """Draw by draw, with the images themselves: mean and standard deviation of the draws."""
    draws = np.random.default_rng(99)
    n_seeds = len(next(iter(a.values())))
    found = []
    for _ in range(n_draws):
        seeds = draws.integers(n_seeds, size=n_seeds)
        by_split = []
        for split in a:
            images = draws.integers(a[split].shape[1], size=a[split].shape[1])
            drawn_a, drawn_b = a[split][seeds][:, images], b[split][seeds][:, images]
            by_split.append(drawn_a.mean() - drawn_b.mean())
        found.append(np.mean(by_split))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def test_the_bootstrap_draws_as_a_plain_one_does() -> None:
    a1, b1 = runs(4, 300, 0.2, seed=0)
    a2, b2 = runs(4, 90, 0.4, seed=1)
    a, b = {"sketch": a1, "clipart": a2}, {"sketch": b1, "clipart": b2}
    found = paired_bootstrap(a, b, seed=7)
    expected = ((a1.mean() - b1.mean()) + (a2.mean() - b2.mean())) / 2
    assert found.difference == pytest.approx(expected)
    assert (found.splits, found.n_seeds, found.n) == (("sketch", "clipart"), 4, 390)
    low, high = plain_bootstrap(a, b, 6000)
    width = high - low
    assert found.low == pytest.approx(low, abs=0.04 * width)
    assert found.high == pytest.approx(high, abs=0.04 * width)


def test_seeds_that_disagree_widen_the_interval() -> None:
    # Every image agrees within a seed: the images' own noise is nil, the seeds' is all there is.
    a = np.zeros((3, 50), dtype=bool)
    a[0] = True
    b = np.zeros((3, 50), dtype=bool)
    found = paired_bootstrap({"test": a}, {"test": b}, seed=0)
    # The drawn share of seed 0 is Binomial(3, 1/3) / 3: 0 in 8 of 27 draws, 1 in 1 of 27.
    assert (found.difference, found.low, found.high) == (pytest.approx(1 / 3), 0.0, 1.0)
    assert found.p == pytest.approx(2 * 8 / 27, abs=0.02)


def test_one_seed_is_a_bootstrap_of_images() -> None:
    a, b = (side[None] for side in answers(400, 120, 60, 420))
    found = paired_bootstrap({"test": a}, {"test": b}, seed=0)
    error = math.sqrt((0.12 + 0.06 - 0.06**2) / 1000)
    assert found.difference == pytest.approx(0.06)
    assert (found.low, found.high) == pytest.approx(
        (0.06 - 1.96 * error, 0.06 + 1.96 * error), abs=1e-3
    )
    assert found.n_seeds == 1
    assert found.p == pytest.approx(2 / 10_001)  # no draw on the other side, and one is counted


def test_methods_that_answer_alike_do_not_differ() -> None:
    for right in (True, False):
        same = np.full((2, 1), right)
        found = paired_bootstrap({"test": same}, {"test": same}, seed=0)
        assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_the_seed_fixes_the_draws() -> None:
    a, b = runs(3, 80, 0.1, seed=2)
    first = paired_bootstrap({"test": a}, {"test": b}, seed=5)
    assert paired_bootstrap({"test": a}, {"test": b}, seed=5) == first
    other = paired_bootstrap({"test": a}, {"test": b}, seed=6)
    assert (other.low, other.high, other.p) != (first.low, first.high, first.p)


def test_swapping_the_methods_turns_the_interval_over() -> None:
    a, b = runs(3, 200, 0.1, seed=3)
    there = paired_bootstrap({"test": a}, {"test": b}, seed=0)
    back = paired_bootstrap({"test": b}, {"test": a}, seed=0)
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.01)


def test_what_cannot_be_paired_is_refused() -> None:
    two, three = np.ones((2, 5), dtype=bool), np.ones((3, 5), dtype=bool)
    with pytest.raises(ValueError, match=r"\(2, 5\) and \(3, 5\) cannot be paired"):
        paired_bootstrap({"test": two}, {"test": three}, seed=0)
    with pytest.raises(ValueError, match="different numbers of seeds"):
        paired_bootstrap({"x": two, "y": three}, {"x": two, "y": three}, seed=0)
    with pytest.raises(ValueError, match=r"must be \(seeds, N\)"):
        paired_bootstrap({"test": two[0]}, {"test": two[0]}, seed=0)
    with pytest.raises(ValueError, match="no split to compare"):
        paired_bootstrap({}, {}, seed=0)
    with pytest.raises(ValueError, match="not empty"):
        mcnemar(two[0, :0], two[0, :0])
    with pytest.raises(ValueError, match="int64, not booleans"):
        mcnemar(np.array([3, 4]), np.array([3, 4]))
