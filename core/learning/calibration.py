"""One temperature for a model's logits, fitted on held-out ID images and never on a shifted split;
and what is kept of it with a model.

Both fits look for T between MIN_TEMPERATURE and MAX_TEMPERATURE and return the bound itself when
the optimum lies outside, as it does for images that are all answered right: a T at a bound says
that these images are too few or too easy to calibrate on. Columns at minus infinity (classes the
split does not hold) take no part.

Shapes: N images, K classes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from scipy import optimize
from torch import Tensor

CALIBRATION_FILE = "calibration.json"

MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 20.0
TOLERANCE = 1e-6  # of log T
ROWS = 512  # images scaled at a time: a copy stays at 4 MB for 1000 classes


@dataclass(frozen=True)
class Calibration:
    """What divides the logits of a model's own classes, a mixture's log-probabilities, to make its
    confidence honest; and what does so for theta0 over the same classes. None where ID validation
    images allowed no fit."""

    temperature: float | None
    zero_shot_temperature: float | None

    def save(self, directory: Path) -> None:
        """Write `calibration.json` into a model directory."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        (directory / CALIBRATION_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Calibration:
        """What `save` wrote; a model that has none was not calibrated."""
        path = directory / CALIBRATION_FILE
        if not path.is_file():
            return cls(None, None)
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def is_at_bound(temperature: float) -> bool:
    """Whether a fit ended at the end of its range."""
    return any(math.isclose(temperature, end) for end in (MIN_TEMPERATURE, MAX_TEMPERATURE))


def fit_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The T whose softmax(logits / T) has the lowest NLL; 1.0 where no T is better than that.

    NLL is convex in 1 / T, so the minimum found over log T is the only one. The bound
    MIN_TEMPERATURE is returned when every image is answered right, MAX_TEMPERATURE when the
    logits tell less than nothing of the labels.
    Raises ValueError for no images, a label without a finite logit, or NaN among the logits.
    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    logits_NK = _checked(logits_NK, labels_N)
    true_N = logits_NK.gather(1, labels_N[:, None])[:, 0]

    def nll(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        return float((_log_sum_exp(logits_NK, temperature) - true_N / temperature).mean())

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    found = optimize.minimize_scalar(
        nll, bounds=(low, high), method="bounded", options={"xatol": TOLERANCE}
    )
    # The search never evaluates its bounds. On equal NLL the first wins: T 1 changes nothing.
    return math.exp(min((0.0, low, high, float(found.x)), key=nll))


def confidence_matching_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The T at which the mean of max softmax(logits / T) equals the accuracy.

    The mean confidence falls as T rises, from 1 towards one over the number of classes, so there
    is at most one root. Without one inside the bounds the bound that comes nearest is returned:
    MIN_TEMPERATURE when the model is too timid even there (every image right, say),
    MAX_TEMPERATURE when it is right less often than chance.
    Raises ValueError for no images, a label without a finite logit, or NaN among the logits.
    Source: the calibration of Zhu, Cui and Zhang, "Robust fine-tuning of zero-shot models via
    variance reduction", NeurIPS 2024; there on [0.1, 10] and to 0.001 of confidence.
    """
    logits_NK = _checked(logits_NK, labels_N)
    accuracy = float((logits_NK.argmax(dim=-1) == labels_N).double().mean())

    def excess(log_temperature: float) -> float:
        # The largest logit is 0, so its probability is exp(0) over the sum.
        confidence_N = (-_log_sum_exp(logits_NK, math.exp(log_temperature))).exp()
        return float(confidence_N.mean()) - accuracy

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    if excess(low) <= 0:
        return MIN_TEMPERATURE
    if excess(high) >= 0:
        return MAX_TEMPERATURE
    return math.exp(optimize.brentq(excess, low, high, xtol=TOLERANCE))


def _checked(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    """The logits in float64, each image's largest at zero."""
    if len(labels_N) == 0:
        raise ValueError("a temperature cannot be fitted on no images; hold some ID images out")
    if not bool((logits_NK < math.inf).all()):
        raise ValueError("the logits hold NaN or infinity; no temperature can be fitted to them")
    true_N = logits_NK.gather(1, labels_N[:, None])[:, 0]
    lost = ~true_N.isfinite()
    if bool(lost.any()):
        raise ValueError(
            f"{int(lost.sum())} of {len(labels_N)} images have a label whose logit is not finite, "
            f"the first is {int(labels_N[lost][0])}: it is outside the split's subset of classes"
        )
    logits_NK = logits_NK.double()
    return logits_NK - logits_NK.amax(dim=-1, keepdim=True)


def _log_sum_exp(logits_NK: Tensor, temperature: float) -> Tensor:
    parts = [(rows / temperature).logsumexp(dim=-1) for rows in torch.split(logits_NK, ROWS)]
    return torch.cat(parts)
