"""How far fine-tuning moved a model, and how much of its shifted accuracy is robustness.

What needs no torch has files of its own, which the API loads too.

Shapes: N images, D features, M texts.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from core.learning.effective_robustness import (
    EffectiveRobustness,
    InsufficientBaselines,
    effective_robustness,
)
from core.learning.metrics import Metric, mean
from core.learning.named_average import NamedAverage

__all__ = [
    "EffectiveRobustness",
    "InsufficientBaselines",
    "NamedAverage",
    "effective_robustness",
    "energy_gap",
    "feature_distortion",
]


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
