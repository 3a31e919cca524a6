"""Numbers from what each image was answered: NumPy vectors in, metrics with intervals out.

Classes and groups that a split does not hold count nowhere: they have no recall, and an answer
of such a class is a miss of the image's own. Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95  # of every interval
CALIBRATION_BINS = 15  # equal-width bins of the ECE


@dataclass(frozen=True)
class Metric:
    """One number with its 95 % interval, where it has one, over n images."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int


def proportion(name: str, successes: int, n: int) -> Metric:
    """A share with its Clopper-Pearson interval."""
    interval = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="exact")
    return Metric(name, successes / n, float(interval.low), float(interval.high), n)


def mean(name: str, values_N: NDArray[np.floating]) -> Metric:
    """A mean with a normal interval; none for a single image."""
    value, n = float(values_N.mean()), len(values_N)
    if n < 2:
        return Metric(name, value, None, None, n)
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2) * values_N.std(ddof=1) / np.sqrt(n))
    return Metric(name, value, value - half, value + half, n)


def mean_per_class_recall(labels_N: NDArray[np.integer], predicted_N: NDArray[np.integer]) -> float:
    """Each held class's share of right answers, averaged with equal weight."""
    held_K, hits_K, _ = _class_counts(labels_N, predicted_N)
    return float((hits_K / held_K).mean())


def macro_f1(labels_N: NDArray[np.integer], predicted_N: NDArray[np.integer]) -> float:
    """F1 = 2 hits / (images + answers) of each held class, averaged with equal weight."""
    held_K, hits_K, answered_K = _class_counts(labels_N, predicted_N)
    return float((2 * hits_K / (held_K + answered_K)).mean())


def worst_share(
    name: str, members_N: NDArray[np.integer] | Sequence[str], correct_N: NDArray[np.bool_]
) -> Metric:
    """The lowest accuracy of a class or group, n being the images of that one.

    Of several equally bad the largest. No interval: one that ignores that this class was picked
    for being the lowest would be too narrow and off centre.
    """
    names, index_N = np.unique(np.asarray(members_N), return_inverse=True)
    sizes = np.bincount(index_N, minlength=len(names))
    shares = np.bincount(index_N, weights=correct_N, minlength=len(names)) / sizes
    worst = np.lexsort((-sizes, shares))[0]
    return Metric(name, float(shares[worst]), None, None, int(sizes[worst]))


def expected_calibration_error(
    confidence_N: NDArray[np.floating], correct_N: NDArray[np.bool_]
) -> float:
    """ECE over the whole split: sum over bins of n_b / N |accuracy_b - confidence_b|.

    Fifteen equal-width bins (low, high].
    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3.
    """
    bins = calibration_bins(confidence_N)
    gaps = np.bincount(bins, weights=correct_N - confidence_N, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence_N))


def calibration_bins(confidence_N: NDArray[np.floating]) -> NDArray[np.intp]:
    """Which of the CALIBRATION_BINS equal-width bins (low, high] each top probability is in."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return np.clip(np.searchsorted(edges, confidence_N, side="left") - 1, 0, CALIBRATION_BINS - 1)


def _class_counts(
    labels_N: NDArray[np.integer], predicted_N: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Images, right answers and answers of each class that has images."""
    n_classes = int(max(labels_N.max(), predicted_N.max())) + 1
    held = np.bincount(labels_N, minlength=n_classes)
    hits = np.bincount(labels_N[labels_N == predicted_N], minlength=n_classes)
    answered = np.bincount(predicted_N, minlength=n_classes)
    present = held > 0
    return held[present], hits[present], answered[present]
