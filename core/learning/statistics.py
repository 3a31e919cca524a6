"""What a finished model remembers of its training domain, to tell a shifted input later.

Per class the mean feature, one covariance shared by all classes, and the quantiles that the ID
validation images reach in Mahalanobis distance, in energy, and in the two together. None of it can
be rebuilt from the weights, so it travels with them.

An image looks as shifted as the larger of its two ranks: the share of ID validation images that lie
nearer, and the share whose energy is lower. Its p is the share of these images that reach such a
rank themselves, itself counted among them: of images from the training domain at most the share a
has a p of at most a, whatever the two measures have to do with one another. Fewer than 1 / a - 1
validation images therefore flag nothing at a.

Sources: Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS
2018, equations 1 and 2, for the distance; Liu et al., "Energy-based out-of-distribution detection",
NeurIPS 2020, for the energy; Vovk, Gammerman and Shafer, "Algorithmic learning in a random world",
2005, section 2.2, for p (a conformal p-value).

Shapes: N images, D features, K classes, Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.learning.evaluation import energy

STATISTICS_FILE = "statistics.safetensors"
FALSE_ALARMS = 0.05  # share of ID validation images that are flagged, unless another is asked for
QUANTILES = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)  # so p is known to a thousandth
# Added to the covariance's diagonal, as a share of its mean: features are unit vectors, so the
# covariance of few images is singular.
SHRINKAGE = 1e-3


@dataclass(frozen=True)
class Shift:
    """How far images lie from a model's training domain, each (N,) float64."""

    distance: Tensor  # squared Mahalanobis, to the nearest class
    energy: Tensor
    p: Tensor  # share of ID validation images that look at least as shifted, itself among them


@dataclass(frozen=True, eq=False)
class Moments:
    """Where a model's training features lie."""

    means_KD: Tensor  # zeros for a class without training images
    counts_K: Tensor
    covariance_DD: Tensor

    @classmethod
    def of(cls, features_ND: Tensor, labels_N: Tensor, n_classes: int) -> Moments:
        """Class means and the covariance around them, in float64."""
        features = features_ND.double()
        dimension = features.shape[1]
        counts = torch.bincount(labels_N, minlength=n_classes)
        sums = torch.zeros(n_classes, dimension, dtype=torch.float64)
        sums.index_add_(0, labels_N, features)
        means = sums / counts.clamp(min=1)[:, None]
        centred = features - means[labels_N]
        covariance = centred.T @ centred / len(features)
        ridge = SHRINKAGE * covariance.diagonal().mean().clamp(min=1e-12)
        return cls(means, counts, covariance + ridge * torch.eye(dimension, dtype=torch.float64))

    def distances(self, features_ND: Tensor) -> Tensor:
        """Squared Mahalanobis distance (N,) to the nearest class that has training images."""
        whitened = features_ND.double() @ self._whitening_DD
        distances_NK: Tensor = torch.cdist(whitened, self._centres_KD)
        return distances_NK.square().amin(dim=1)

    @cached_property
    def _whitening_DD(self) -> Tensor:
        """Its product with features has the identity for a covariance."""
        factor = torch.linalg.cholesky(self.covariance_DD.double())
        identity = torch.eye(len(factor), dtype=torch.float64)
        inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
        return inverse.T

    @cached_property
    def _centres_KD(self) -> Tensor:
        return self.means_KD[self.counts_K > 0].double() @ self._whitening_DD


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """A model's training domain. `TrainingDomain.of` measures it."""

    moments: Moments
    distance_quantiles_Q: Tensor
    energy_quantiles_Q: Tensor
    rank_quantiles_Q: Tensor  # of the larger of the two ranks
    n_images: int  # that the quantiles are of

    @classmethod
    def of(
        cls,
        train_features_ND: Tensor,
        train_labels_N: Tensor,
        validation_features_ND: Tensor,
        validation_logits_NK: Tensor,
    ) -> TrainingDomain:
        """From features of training images, and features and logits of ID validation images."""
        n_classes = validation_logits_NK.shape[1]
        moments = Moments.of(train_features_ND, train_labels_N, n_classes)
        distances = moments.distances(validation_features_ND)
        energies = energy(validation_logits_NK.double())
        distance_quantiles = distances.quantile(QUANTILES)
        energy_quantiles = energies.quantile(QUANTILES)
        n = len(distances)
        ranks = torch.maximum(
            _rank(distances, distance_quantiles, n), _rank(energies, energy_quantiles, n)
        )
        return cls(
            moments,
            distance_quantiles,
            energy_quantiles,
            ranks.quantile(QUANTILES),
            n,
        )

    @property
    def bytes(self) -> int:
        """Of memory, once distances were asked for."""
        return 3 * self.moments.covariance_DD.nbytes + 3 * self.moments.means_KD.nbytes

    def shift(self, features_ND: Tensor, logits_NK: Tensor) -> Shift:
        """Of images with these features and logits over all classes, under the same model."""
        distances = self.moments.distances(features_ND)
        energies = energy(logits_NK.double())
        n = self.n_images
        ranks = torch.maximum(
            _rank(distances, self.distance_quantiles_Q.double(), n),
            _rank(energies, self.energy_quantiles_Q.double(), n),
        )
        reached = n * (1.0 - _rank(ranks, self.rank_quantiles_Q.double(), n))
        return Shift(distances, energies, (reached + 1.0) / (n + 1.0))

    def save(self, directory: Path) -> None:
        """Write `statistics.safetensors` into a model directory."""
        tensors = {
            "class_means": self.moments.means_KD.float(),
            "class_counts": self.moments.counts_K,
            "covariance": self.moments.covariance_DD.float(),
            "quantiles": QUANTILES.float(),
            "distance_quantiles": self.distance_quantiles_Q.float(),
            "energy_quantiles": self.energy_quantiles_Q.float(),
            "rank_quantiles": self.rank_quantiles_Q.float(),
            "n_images": torch.tensor(self.n_images),
        }
        save_file({k: v.contiguous() for k, v in tensors.items()}, directory / STATISTICS_FILE)

    @classmethod
    def load(cls, directory: Path) -> TrainingDomain | None:
        """What `save` wrote; None for a model that has none, or none that tells p."""
        path = directory / STATISTICS_FILE
        if not path.is_file():
            return None
        found = load_file(path)
        if "rank_quantiles" not in found:
            return None
        return cls(
            Moments(found["class_means"], found["class_counts"], found["covariance"]),
            found["distance_quantiles"],
            found["energy_quantiles"],
            found["rank_quantiles"],
            int(found["n_images"]),
        )


def _rank(values_N: Tensor, quantiles_Q: Tensor, n_images: int) -> Tensor:
    """The share of the images that lie below each value, 0 to 1: of the largest among them all but
    itself, of what is larger all. Between quantiles by the straight line."""
    levels = torch.linspace(0.0, 1.0, len(quantiles_Q), dtype=torch.float64)
    above = torch.searchsorted(quantiles_Q, values_N)  # the first that is not below
    upper = above.clamp(1, len(quantiles_Q) - 1)
    lower = upper - 1
    width = quantiles_Q[upper] - quantiles_Q[lower]
    part = (values_N - quantiles_Q[lower]) / width.clamp(min=torch.finfo(torch.float64).tiny)
    level = torch.lerp(levels[lower], levels[upper], part.clamp(0.0, 1.0))
    shares = level * (n_images - 1) / n_images
    return torch.where(values_N > quantiles_Q[-1], 1.0, shares)
