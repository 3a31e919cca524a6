"""Temperatures against what a fine grid of NumPy finds."""

import math

import numpy as np
import pytest
import torch

from core.learning.calibration import (
    ROWS,
    confidence_matching_temperature,
    fit_temperature,
)


def drawn(n: int, true_temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are calibrated when divided by `true_temperature`, and labels drawn so."""
    draws = np.random.default_rng(3)
    logits = draws.normal(0, 2, (n, 6))
    cumulative = softmax(logits).cumsum(axis=1)
    labels = (draws.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)
    return true_temperature * logits, labels


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(-np.log(softmax(logits / temperature)[np.arange(len(labels)), labels]).mean())


def test_the_temperature_of_lowest_nll() -> None:
    logits, labels = drawn(ROWS + 1488, 2.5)
    found = fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found == pytest.approx(2.5, rel=0.1)  # the one the labels were drawn with
    here = nll(logits, labels, found)
    grid = np.exp(np.linspace(math.log(0.05), math.log(20), 2000))
    assert here <= min(nll(logits, labels, t) for t in grid)
    # At the minimum the slope over log T vanishes.
    step = 1e-3
    slope = nll(logits, labels, found * math.exp(step)) - nll(
        logits, labels, found / math.exp(step)
    )
    assert abs(slope / (2 * step)) < 1e-5


def test_scaling_the_logits_scales_both_temperatures() -> None:
    logits, labels = drawn(1000, 1.0)
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    for fit in (fit_temperature, confidence_matching_temperature):
        assert fit(3 * z, y) == pytest.approx(3 * fit(z, y), rel=1e-4)


def test_the_temperature_that_matches_confidence_and_accuracy() -> None:
    logits, labels = drawn(ROWS + 1488, 1.6)
    found = confidence_matching_temperature(torch.from_numpy(logits), torch.from_numpy(labels))
    confidence = softmax(logits / found).max(axis=1).mean()
    assert confidence == pytest.approx((logits.argmax(axis=1) == labels).mean(), abs=1e-5)
    assert found == pytest.approx(1.6, rel=0.1)


def test_all_right_and_all_wrong_give_the_bounds() -> None:
    logits = torch.tensor([[0.3, 0.0], [0.0, 0.2], [0.1, 0.0]])
    right, wrong = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 1])
    for fit in (fit_temperature, confidence_matching_temperature):
        assert fit(logits, right) == pytest.approx(0.05, rel=1e-12)
        assert fit(logits, wrong) == pytest.approx(20.0, rel=1e-12)


def test_a_temperature_that_changes_nothing_is_one() -> None:
    assert fit_temperature(torch.zeros(5, 3), torch.tensor([0, 1, 2, 0, 1])) == 1.0
    sure = 5000 * torch.eye(3)
    assert fit_temperature(sure, torch.arange(3)) == 1.0


def test_masked_classes_take_no_part() -> None:
    logits, labels = drawn(500, 2.0)
    masked = np.insert(logits, 3, -np.inf, axis=1)
    shifted = labels + (labels >= 3)
    for fit in (fit_temperature, confidence_matching_temperature):
        alone = fit(torch.from_numpy(logits), torch.from_numpy(labels))
        assert fit(torch.from_numpy(masked), torch.from_numpy(shifted)) == pytest.approx(alone)


@pytest.mark.parametrize("fit", [fit_temperature, confidence_matching_temperature])
def test_what_cannot_be_fitted_is_refused(fit: object) -> None:
    assert callable(fit)
    masked = torch.tensor([[1.0, -math.inf, 0.0], [0.0, -math.inf, 2.0]])
    with pytest.raises(ValueError, match=r"1 of 2 images .* the first is 1: .*subset"):
        fit(masked, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="on no images"):
        fit(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    for strange in (math.nan, math.inf):
        with pytest.raises(ValueError, match="NaN or infinity"):
            fit(torch.tensor([[strange, 0.0]]), torch.tensor([1]))
