"""Metrics of answer vectors against values worked out by hand."""

import math

import numpy as np
import pytest

from core.learning.metrics import (
    expected_calibration_error,
    macro_f1,
    mean,
    mean_per_class_recall,
    proportion,
    worst_share,
)


def naive_ece(confidence: np.ndarray, correct: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(correct[inside].mean() - confidence[inside].mean())
    return total / len(confidence)


def test_ece_over_the_whole_split_with_fifteen_bins() -> None:
    draws = np.random.default_rng(0)
    confidence = draws.uniform(0.05, 1.0, 997)
    confidence[:3] = [1.0, 2 / 15, 1 / 15]
    correct = draws.random(997) < confidence**2
    assert expected_calibration_error(confidence, correct) == pytest.approx(
        naive_ece(confidence, correct), abs=1e-12
    )


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    # 0.2 is the edge between the third bin and the fourth, where 0.21 lies.
    found = expected_calibration_error(np.array([0.2, 0.21]), np.array([True, False]))
    assert found == pytest.approx((0.8 + 0.21) / 2)
    whole = expected_calibration_error(np.array([1.0, 0.99]), np.array([False, True]))
    assert whole == pytest.approx((1.0 - 0.01) / 2)


def test_recall_and_f1_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 2, 1, 0, 2])
    # class 0: 2 of 4, answered 3 times; class 1: 1 of 2, answered 2; class 2: 1 of 1, answered 2
    assert mean_per_class_recall(labels, predicted) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert macro_f1(labels, predicted) == pytest.approx((4 / 7 + 1 / 2 + 2 / 3) / 3)


def test_classes_without_images_count_nowhere() -> None:
    labels = np.array([1, 1, 4, 4])
    predicted = np.array([1, 7, 4, 0])  # 0 and 7 have no images, 2 and 3 not even an answer
    assert mean_per_class_recall(labels, predicted) == 0.5
    assert macro_f1(labels, predicted) == pytest.approx(2 / 3)
    assert worst_share("worst_class", labels, labels == predicted).value == 0.5


def test_one_class_alone() -> None:
    labels, predicted = np.array([3, 3, 3]), np.array([3, 0, 3])
    assert mean_per_class_recall(labels, predicted) == pytest.approx(2 / 3)
    assert macro_f1(labels, predicted) == pytest.approx(4 / 5)
    worst = worst_share("worst_class", labels, labels == predicted)
    assert (worst.value, worst.n) == (pytest.approx(2 / 3), 3)


@pytest.mark.parametrize(("predicted", "value"), [([2, 0], 1.0), ([0, 2], 0.0), ([9, 9], 0.0)])
def test_all_right_and_all_wrong(predicted: list[int], value: float) -> None:
    labels, answers = np.array([2, 0]), np.array(predicted)
    assert mean_per_class_recall(labels, answers) == value
    assert macro_f1(labels, answers) == value
    assert worst_share("worst_class", labels, labels == answers).value == value


def test_the_worst_group_is_the_largest_of_the_equally_bad() -> None:
    groups = ["a", "b", "b", "b", "b", "c", "c"]
    correct = np.array([True, True, False, True, False, False, True])
    worst = worst_share("worst_group", groups, correct)
    assert (worst.name, worst.value, worst.n) == ("worst_group", 0.5, 4)
    assert (worst.low, worst.high) == (None, None)


@pytest.mark.parametrize("n", [1, 30])
def test_exact_interval_of_all_right_and_all_wrong(n: int) -> None:
    # P(0 of n) = (1 - high)^n = 2.5 %
    bound = 1 - 0.025 ** (1 / n)
    none, every = proportion("x", 0, n), proportion("x", n, n)
    assert (none.value, none.low, none.high) == (0.0, 0.0, pytest.approx(bound))
    assert (every.value, every.low, every.high) == (1.0, pytest.approx(1 - bound), 1.0)


def test_a_mean_has_an_interval_from_two_images_on() -> None:
    found = mean("nll", np.array([1.0, 3.0]))
    half = 1.959963984540054 * math.sqrt(2) / math.sqrt(2)
    assert (found.value, found.n) == (2.0, 2)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    single = mean("nll", np.array([1.5]))
    assert (single.value, single.low, single.high, single.n) == (1.5, None, None, 1)
