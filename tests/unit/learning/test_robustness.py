"""Energy gap, feature distortion, effective robustness and named averages, worked out by hand."""

import math

import numpy as np
import pytest
import torch

from core.learning.robustness import (
    InsufficientBaselines,
    NamedAverage,
    effective_robustness,
    energy_gap,
    feature_distortion,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def expit(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_energy_gap_is_the_mean_squared_change_over_images_and_texts() -> None:
    draws = np.random.default_rng(0)
    after, before, texts = (draws.normal(size=(n, 5)) for n in (7, 7, 3))
    found = energy_gap(*map(torch.from_numpy, (after, before, texts)), 20.0)
    per_image = []
    for f, f0 in zip(unit(after), unit(before), strict=True):
        changes = [(-20 * f @ g) - (-20 * f0 @ g) for g in unit(texts)]
        per_image.append(np.mean(np.square(changes)))
    half = 1.959963984540054 * np.std(per_image, ddof=1) / math.sqrt(7)
    value = np.mean(per_image)
    assert (found.name, found.n) == ("energy_gap", 7)
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value - half, value + half)
    )


def test_feature_distortion_by_hand() -> None:
    after = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    before = torch.tensor([[1.0, 0.0], [5.0, 0.0], [-4.0, 0.0]])
    found = feature_distortion(after, before)  # the same, a right angle, opposite
    assert found.value == pytest.approx((0 + 2 + 4) / 3)
    assert (found.name, found.n) == ("feature_distortion", 3)


def test_an_unmoved_model_has_neither() -> None:
    features = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 6))).float()
    texts = torch.eye(6)
    assert energy_gap(features, features.clone(), texts, 100.0).value == 0.0
    assert feature_distortion(features, features.clone()).value == 0.0


def test_one_image_has_no_interval() -> None:
    found = feature_distortion(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    assert (found.value, found.low, found.high, found.n) == (pytest.approx(2.0), None, None, 1)


def test_features_of_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\)"):
        feature_distortion(torch.ones(3, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match="not of the same images"):
        energy_gap(torch.ones(3, 2), torch.ones(4, 2), torch.ones(5, 2), 1.0)


def test_effective_robustness_on_a_line_that_is_known() -> None:
    ids = [0.4, 0.55, 0.6, 0.8]
    baselines = [(a, expit(0.9 * math.log(a / (1 - a)) - 0.7)) for a in ids]
    found = effective_robustness(baselines, 0.7, 0.65)
    expected = expit(0.9 * math.log(0.7 / 0.3) - 0.7)
    assert (found.slope, found.intercept) == pytest.approx((0.9, -0.7))
    assert (found.expected, found.value) == pytest.approx((expected, 0.65 - expected))
    assert (found.n, found.id_low, found.id_high, found.extrapolated) == (4, 0.4, 0.8, False)
    assert effective_robustness(baselines, 0.81, 0.65).extrapolated
    assert effective_robustness(baselines, 0.39, 0.65).extrapolated


def test_effective_robustness_fits_by_least_squares() -> None:
    baselines = [(0.3, 0.25), (0.5, 0.3), (0.6, 0.5), (0.75, 0.55)]
    x, y = (np.array([math.log(p[i] / (1 - p[i])) for p in baselines]) for i in (0, 1))
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    intercept = y.mean() - slope * x.mean()
    found = effective_robustness(baselines, 0.65, 0.6)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept))
    expected = expit(slope * math.log(0.65 / 0.35) + intercept)
    assert found.value == pytest.approx(0.6 - expected)


def test_accuracies_of_zero_and_one_are_clipped_in_the_logit_alone() -> None:
    found = effective_robustness([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)], 1.0, 1.0)
    assert (found.slope, found.intercept) == pytest.approx((1.0, 0.0), abs=1e-12)
    assert (found.expected, found.value) == pytest.approx((0.999, 0.001))


def test_too_few_baselines_are_refused() -> None:
    with pytest.raises(InsufficientBaselines, match="at least 3 models.* found 2"):
        effective_robustness([(0.2, 0.1), (0.9, 0.8)], 0.5, 0.5)
    with pytest.raises(InsufficientBaselines, match="found 0"):
        effective_robustness([], 0.5, 0.5)


def test_baselines_too_much_alike_are_refused() -> None:
    with pytest.raises(InsufficientBaselines, match=r"span 9\.9 points"):
        effective_robustness([(0.6, 0.4), (0.65, 0.5), (0.699, 0.5)], 0.65, 0.5)
    # Ten points exactly, though 0.7 - 0.6 < 0.1 in binary.
    assert effective_robustness([(0.6, 0.4), (0.65, 0.5), (0.7, 0.5)], 0.65, 0.5).n == 3


@pytest.mark.parametrize("bad", [76.5, -0.1, math.nan])
def test_accuracies_that_are_not_shares_are_refused(bad: float) -> None:
    good = [(0.2, 0.1), (0.5, 0.4), (0.9, 0.8)]
    for baselines, shift in (([*good, (0.5, bad)], 0.5), (good, bad)):
        with pytest.raises(ValueError, match="shares from 0 to 1"):
            effective_robustness(baselines, 0.5, shift)


def test_a_named_average_lists_its_members() -> None:
    average = NamedAverage("shift mean", ("sketch", "clipart"))
    assert str(average) == "shift mean (sketch, clipart)"
    assert average.of({"sketch": 0.25, "clipart": 0.75, "test": 0.9}) == 0.5
    with pytest.raises(
        ValueError, match=r"shift mean \(sketch, clipart\) has no value for clipart"
    ):
        average.of({"sketch": 0.5, "test": 0.9})
    with pytest.raises(ValueError, match="names no split"):
        NamedAverage("nothing", ())
    with pytest.raises(ValueError, match="names 'sketch' twice"):
        NamedAverage("shift mean", ("sketch", "sketch"))
