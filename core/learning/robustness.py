"""How far fine-tuning moved a model, and how much of its shifted accuracy is robustness.

Shapes: N images, D features, M texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from torch import Tensor
from torch.nn import functional

from core.learning.metrics import Metric, mean

MIN_BASELINES = 3
MIN_ID_SPAN = 0.10  # of ID accuracy, 10 points
# Accuracies enter a logit no nearer to 0 and 1 than this: an exact 0 or 1 has no finite logit,
# and a closer bound would let that one point turn the line.
CLIP = 1e-3


def energy_gap(features_ND: Tensor, features0_ND: Tensor, texts_MD: Tensor, scale: float) -> Metric:
    """How much the answers to texts changed: mean over images and texts of (E - E0)^2.

    E = -scale <f, g> is the energy of an image and a text, E0 the zero-shot model's for the same
    image; all features are L2-normalised here and `scale` is exp(logit_scale) of the zero-shot
    model. On random texts the gap is twice Lipsum-FT's penalty. Over n images with a normal
    interval; compare the value of a shifted split with that of ID.
    Raises ValueError when the two matrices are not of the same images.
    Source: Nam, Heo and Lee, "Lipsum-FT", ICLR 2024, arXiv 2404.00860, EnergyGap (equation 6).
    """
    changes_ND = _changes(features_ND, features0_ND)
    texts_MD = functional.normalize(texts_MD.detach().cpu().double(), dim=-1)
    gaps_NM = scale * changes_ND @ texts_MD.T
    return mean("energy_gap", gaps_NM.square().mean(dim=-1).numpy())


def feature_distortion(features_ND: Tensor, features0_ND: Tensor) -> Metric:
    """Mean squared L2 distance of L2-normalised features before and after, from 0 to 4.

    Over n images with a normal interval.
    Raises ValueError when the two matrices are not of the same images.
    Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform
    out-of-distribution", ICLR 2022, arXiv 2202.10054; per split as in Lipsum-FT.
    """
    changes_ND = _changes(features_ND, features0_ND)
    return mean("feature_distortion", changes_ND.square().sum(dim=-1).numpy())


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
    points = np.array([*baselines, (id_accuracy, shift_accuracy)], dtype=np.float64)
    outside = points[~((points >= 0) & (points <= 1))]
    if len(outside):
        raise ValueError(f"accuracies are shares from 0 to 1, not {outside[0]}; 76.5 % is 0.765")
    if len(baselines) < MIN_BASELINES:
        raise InsufficientBaselines(
            f"effective robustness needs at least {MIN_BASELINES} models trained without "
            f"zero-shot weights, found {len(baselines)}; add runs or a table of (ID, shift) pairs"
        )
    id_N, shift_N = points[:-1].T
    low, high = float(id_N.min()), float(id_N.max())
    if round(high - low, 9) < MIN_ID_SPAN:  # 0.7 - 0.6 is a hair under 0.1 in binary
        raise InsufficientBaselines(
            f"the {len(baselines)} baselines span {100 * (high - low):.1f} points of ID accuracy, "
            f"at least {100 * MIN_ID_SPAN:.0f} are needed; add weaker or stronger models"
        )
    line = stats.linregress(_logit(id_N), _logit(shift_N))
    slope, intercept = float(line.slope), float(line.intercept)
    expected = float(special.expit(slope * _logit(np.float64(id_accuracy)) + intercept))
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


@dataclass(frozen=True)
class NamedAverage:
    """A mean over named splits, each with equal weight, which says over which.

    Raises ValueError for no members or one named twice.
    """

    name: str
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError(f"the average {self.name!r} names no split; list its members")
        twice = [split for split in self.members if self.members.count(split) > 1]
        if twice:
            raise ValueError(f"the average {self.name!r} names {twice[0]!r} twice; list it once")

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.members)})"

    def of(self, values: Mapping[str, float]) -> float:
        """The mean of the members' values; splits that are not members are left out of it.

        Raises ValueError when a member has no value: a mean over fewer splits is another number.
        """
        missing = [split for split in self.members if split not in values]
        if missing:
            raise ValueError(
                f"the average {self} has no value for {', '.join(missing)}; score every member"
            )
        return sum(values[split] for split in self.members) / len(self.members)


def _changes(features_ND: Tensor, features0_ND: Tensor) -> Tensor:
    """Difference (N, D) float64 of the normalised features."""
    if features_ND.shape != features0_ND.shape:
        raise ValueError(
            f"features of shapes {tuple(features_ND.shape)} and {tuple(features0_ND.shape)} are "
            "not of the same images; encode one split with both models"
        )
    after_ND = functional.normalize(features_ND.detach().cpu().double(), dim=-1)
    before_ND = functional.normalize(features0_ND.detach().cpu().double(), dim=-1)
    return after_ND - before_ND


def _logit(accuracy_N: np.ndarray | np.float64) -> np.ndarray:
    return np.asarray(special.logit(np.clip(accuracy_N, CLIP, 1 - CLIP)))
