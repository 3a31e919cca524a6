"""What a finished model remembers of its training domain, to tell a shifted input later.

Per class the mean feature, one covariance shared by all classes, and the quantiles that the ID
validation images reach in Mahalanobis distance and in energy. None of it can be rebuilt from
the weights, so it travels with them.
Source of the distance: Lee et al., "A simple unified framework for detecting out-of-distribution
samples", NeurIPS 2018, equations 1 and 2.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.learning.evaluation import energy

STATISTICS_FILE = "statistics.safetensors"
QUANTILES = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)
# Added to the covariance's diagonal, as a share of its mean: features are unit vectors, so the
# covariance of few images is singular.
SHRINKAGE = 1e-3


def feature_statistics(
    train_features_ND: Tensor,
    train_labels_N: Tensor,
    validation_features_ND: Tensor,
    validation_logits_NK: Tensor,
) -> dict[str, Tensor]:
    """Class means (K, D), counts (K,), shared covariance (D, D) and validation quantiles (101,).

    A class without training images has a mean of zeros and a count of 0.
    """
    n_classes = validation_logits_NK.shape[1]
    features = train_features_ND.double()
    dimension = features.shape[1]
    counts = torch.bincount(train_labels_N, minlength=n_classes)
    sums = torch.zeros(n_classes, dimension, dtype=torch.float64)
    sums.index_add_(0, train_labels_N, features)
    means = sums / counts.clamp(min=1)[:, None]
    centred = features - means[train_labels_N]
    covariance = centred.T @ centred / len(features)
    ridge = SHRINKAGE * covariance.diagonal().mean().clamp(min=1e-12)
    covariance += ridge * torch.eye(dimension, dtype=torch.float64)
    distances = mahalanobis(validation_features_ND, means, covariance, counts)
    return {
        "class_means": means.float(),
        "class_counts": counts,
        "covariance": covariance.float(),
        "quantiles": QUANTILES.float(),
        "distance_quantiles": distances.quantile(QUANTILES).float(),
        "energy_quantiles": energy(validation_logits_NK.double()).quantile(QUANTILES).float(),
    }


def mahalanobis(
    features_ND: Tensor, means_KD: Tensor, covariance_DD: Tensor, counts_K: Tensor
) -> Tensor:
    """Squared Mahalanobis distance (N,) to the nearest class that has training images."""
    factor = torch.linalg.cholesky(covariance_DD.double())
    present = counts_K > 0
    whitened = torch.linalg.solve_triangular(factor, features_ND.double().T, upper=False).T
    centres = torch.linalg.solve_triangular(factor, means_KD[present].double().T, upper=False).T
    return torch.cdist(whitened, centres).square().amin(dim=1)


def save_statistics(statistics: dict[str, Tensor], directory: Path) -> None:
    """Write `statistics.safetensors` into a model directory."""
    save_file({k: v.contiguous() for k, v in statistics.items()}, directory / STATISTICS_FILE)
