"""How much of a shifted accuracy is robustness: what lies above the line of ordinary models.

Importing this file loads no library, so that the API can refuse what no line fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MIN_BASELINES = 3
MIN_ID_SPAN = 0.10  # of ID accuracy, 10 points
# Accuracies enter a logit no nearer to 0 and 1 than this: an exact 0 or 1 has no finite logit,
# and a closer bound would let that one point turn the line.
CLIP = 1e-3


class InsufficientBaselines(ValueError):
    """The baselines do not fix a line."""


@dataclass(frozen=True)
class EffectiveRobustness:
    """Shifted accuracy above what the baselines' line expects at this ID accuracy.

    Print `n` with the value. `extrapolated` says that the model's ID accuracy lies outside the
    baselines' own, where the line is a guess.
    """

    value: float
    expected: float
    slope: float
    intercept: float
    n: int  # baselines
    id_low: float
    id_high: float
    extrapolated: bool


def require_line(baselines: Sequence[tuple[float, float]]) -> None:
    """That (ID accuracy, shifted accuracy) pairs, shares from 0 to 1, fix a line.

    Raises InsufficientBaselines under MIN_BASELINES points or an ID span under MIN_ID_SPAN, and
    ValueError for an accuracy outside 0 to 1.
    """
    for accuracy in (accuracy for pair in baselines for accuracy in pair):
        _check_share(accuracy)
    if len(baselines) < MIN_BASELINES:
        raise InsufficientBaselines(
            f"effective robustness needs at least {MIN_BASELINES} models trained without "
            f"zero-shot weights, found {len(baselines)}; add runs or a table of (ID, shift) pairs"
        )
    span = max(one for one, _ in baselines) - min(one for one, _ in baselines)
    if round(span, 9) < MIN_ID_SPAN:  # 0.7 - 0.6 is a hair under 0.1 in binary
        raise InsufficientBaselines(
            f"the {len(baselines)} baselines span {100 * span:.1f} points of ID accuracy, "
            f"at least {100 * MIN_ID_SPAN:.0f} are needed; add weaker or stronger models"
        )


def effective_robustness(
    baselines: Sequence[tuple[float, float]], id_accuracy: float, shift_accuracy: float
) -> EffectiveRobustness:
    """shift - sigmoid(w logit(ID) + b), with w and b by least squares on the baselines' logits.

    `baselines` are (ID accuracy, shifted accuracy) of models trained without zero-shot weights,
    as shares from 0 to 1; logits are taken of accuracies clipped to CLIP and 1 - CLIP.
    Raises InsufficientBaselines under MIN_BASELINES points or an ID span under MIN_ID_SPAN, and
    ValueError for an accuracy outside 0 to 1.
    Source: Taori et al., "Measuring robustness to natural distribution shifts in image
    classification", NeurIPS 2020, arXiv 2007.00644, section 3.
    """
    import numpy as np
    from scipy import special, stats

    require_line(baselines)
    for accuracy in (id_accuracy, shift_accuracy):
        _check_share(accuracy)

    def logit(accuracies: Sequence[float]) -> np.ndarray:
        return np.asarray(special.logit(np.clip(np.array(accuracies), CLIP, 1 - CLIP)))

    id_N, shift_N = zip(*baselines, strict=True)
    low, high = min(id_N), max(id_N)
    line = stats.linregress(logit(id_N), logit(shift_N))
    slope, intercept = float(line.slope), float(line.intercept)
    expected = float(special.expit(slope * logit([id_accuracy])[0] + intercept))
    return EffectiveRobustness(
        value=shift_accuracy - expected,
        expected=expected,
        slope=slope,
        intercept=intercept,
        n=len(baselines),
        id_low=low,
        id_high=high,
        extrapolated=not low <= id_accuracy <= high,
    )


def _check_share(accuracy: float) -> None:
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracies are shares from 0 to 1, not {accuracy}; 76.5 % is 0.765")
