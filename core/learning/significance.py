"""Whether one model or method is better than another on the same images.

Two models: McNemar's exact test per split, Holm's correction over splits. Two methods, each
trained with several seeds: a bootstrap over seeds and images. Differences are A minus B, in
accuracy. What is compared are vectors of `predicted == label` in one order of images.

Shapes: N images of a split, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.learning.metrics import CONFIDENCE
from core.learning.randomness import generator

DRAWS = 10_000  # of the bootstrap
BLOCK = 250  # draws held in memory at a time

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class PairedTest:
    """Two models on one split: n images, of which each alone got some right."""

    n: int
    only_a: int
    only_b: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float  # corrected over the splits tested together; p itself for one split


@dataclass(frozen=True)
class PairedBootstrap:
    """Two methods over seeds and images, averaged over splits with equal weight."""

    splits: tuple[str, ...]
    n_seeds: int
    n: int  # images of all splits together
    difference: float
    low: float
    high: float
    p: float


def mcnemar(correct_a_N: Correct, correct_b_N: Correct) -> PairedTest:
    """The exact two-sided test that A and B are right equally often, from discordant images.

    p is 1 when no image is discordant. The interval is Wald's with half an image added to each
    of the four cells, cut at -1 and 1; it comes from another approximation than p, so the two
    may disagree at the very edge.
    Raises ValueError for no images, shapes that differ, or entries that are not booleans.
    Sources: McNemar, Psychometrika 1947; Agresti and Min, "Simple improved confidence intervals
    for comparing matched proportions", Statistics in Medicine 2005.
    """
    _check_pair(correct_a_N, correct_b_N, dimensions=1)
    n = len(correct_a_N)
    only_a = int((correct_a_N & ~correct_b_N).sum())
    only_b = int((correct_b_N & ~correct_a_N).sum())
    discordant = only_a + only_b
    p = float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    centre = (only_a - only_b) / (n + 2)
    error = np.sqrt(discordant + 1 - (only_a - only_b) ** 2 / (n + 2)) / (n + 2)
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2) * error)
    return PairedTest(
        n=n,
        only_a=only_a,
        only_b=only_b,
        difference=(only_a - only_b) / n,
        low=max(centre - half, -1.0),
        high=min(centre + half, 1.0),
        p=p,
        p_holm=p,
    )


def mcnemar_over_splits(
    correct_a: Mapping[str, Correct], correct_b: Mapping[str, Correct]
) -> dict[str, PairedTest]:
    """McNemar's test on each split, with p corrected by Holm over all of them.

    Raises ValueError when A and B do not hold the same splits, and what `mcnemar` raises.
    """
    _check_splits(correct_a, correct_b)
    tests = {split: mcnemar(correct_a[split], correct_b[split]) for split in correct_a}
    corrected = holm({split: test.p for split, test in tests.items()})
    return {split: replace(test, p_holm=corrected[split]) for split, test in tests.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number, under the same names: step-down, family-wise error.

    Raises ValueError for a p outside 0 to 1.
    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 1979.
    """
    corrected: dict[str, float] = {}
    least = 0.0
    for position, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        if not 0 <= p <= 1:
            raise ValueError(f"the p value of {name!r} is {p}, not between 0 and 1")
        least = max(least, min(1.0, (len(p_values) - position) * p))
        corrected[name] = least
    return {name: corrected[name] for name in p_values}


def paired_bootstrap(
    correct_a: Mapping[str, Correct], correct_b: Mapping[str, Correct], seed: int
) -> PairedBootstrap:
    """Mean accuracy difference of two methods with a percentile interval, over seeds and images.

    Both map a split to (S, N): row s is the run of the s-th training seed, the same seed for A
    and B and in every split. Each draw takes S seeds with replacement and then, in each split, N
    images with replacement; A, B and all seeds keep the same images, since all runs saw one test
    set. p is twice the smaller share of draws on one side of zero, each counted with one draw
    more. `seed` fixes the draws. One seed gives an interval that knows nothing of training noise,
    and few give one that is too narrow: print `n_seeds`.
    Raises ValueError when the two do not hold the same splits and shapes, when splits differ in
    seeds, and for entries that are not booleans.
    Source: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007.
    """
    _check_splits(correct_a, correct_b)
    splits = tuple(correct_a)
    for split in splits:
        _check_pair(correct_a[split], correct_b[split], dimensions=2)
    seeds = {split: len(correct_a[split]) for split in splits}
    if len(set(seeds.values())) > 1:
        raise ValueError(f"the splits hold different numbers of seeds: {seeds}; score every run")
    n_seeds = seeds[splits[0]]
    seed_draws_BS = generator(seed, "bootstrap_seeds").multinomial(
        n_seeds, np.full(n_seeds, 1 / n_seeds), size=DRAWS
    )
    draws_B = np.zeros(DRAWS)
    difference = 0.0
    for split in splits:
        change_SN = correct_a[split].astype(np.int8) - correct_b[split].astype(np.int8)
        difference += float(change_SN.mean()) / len(splits)
        images = generator(seed, f"bootstrap_images:{split}")
        draws_B += _split_draws(change_SN, seed_draws_BS, images) / len(splits)
    tail = 0.5 - CONFIDENCE / 2
    low, high = np.quantile(draws_B, [tail, 1 - tail])
    smaller_side = min(int((draws_B <= 0).sum()), int((draws_B >= 0).sum()))
    return PairedBootstrap(
        splits=splits,
        n_seeds=n_seeds,
        n=sum(correct_a[split].shape[1] for split in splits),
        difference=difference,
        low=float(low),
        high=float(high),
        p=min(1.0, 2 * (smaller_side + 1) / (DRAWS + 1)),
    )


def _split_draws(
    change_SN: NDArray[np.int8], seed_draws_BS: NDArray[np.int64], images: np.random.Generator
) -> NDArray[np.float64]:
    """Mean change of each draw on one split.

    An image matters only by its column, a pattern of -1, 0 and 1 over the seeds, so the draws of
    N images are exactly multinomial draws of the few patterns that occur. Sums are of integers:
    a draw without a difference is exactly zero.
    """
    n_images = change_SN.shape[1]
    patterns_SU, counts_U = np.unique(change_SN, axis=1, return_counts=True)
    sums = []
    for start in range(0, DRAWS, BLOCK):
        by_pattern_BU = seed_draws_BS[start : start + BLOCK] @ patterns_SU
        drawn_BU = images.multinomial(n_images, counts_U / n_images, size=len(by_pattern_BU))
        sums.append((by_pattern_BU * drawn_BU).sum(axis=1))
    return np.concatenate(sums) / change_SN.size


def _check_splits(correct_a: Mapping[str, Correct], correct_b: Mapping[str, Correct]) -> None:
    if not correct_a:
        raise ValueError("there is no split to compare on; give at least one")
    lonely = sorted(correct_a.keys() ^ correct_b.keys())
    if lonely:
        raise ValueError(f"only one side was scored on {', '.join(lonely)}; compare on the same")


def _check_pair(correct_a: Correct, correct_b: Correct, dimensions: int) -> None:
    if correct_a.shape != correct_b.shape or correct_a.ndim != dimensions or not correct_a.size:
        wanted = "(N,)" if dimensions == 1 else "(seeds, N)"
        raise ValueError(
            f"answers of shapes {correct_a.shape} and {correct_b.shape} cannot be paired; both "
            f"must be {wanted}, of the same images and not empty"
        )
    for side in (correct_a, correct_b):
        if side.dtype != np.bool_:
            raise ValueError(f"answers are {side.dtype}, not booleans; give predicted == label")
