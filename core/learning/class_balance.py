"""Rare classes that count as much as frequent ones, by weight or by how often they are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.learning.randomness import generator

FEW_IMAGES = 5  # a class with fewer training images deserves a warning


def class_weights(labels: Sequence[int], n_classes: int) -> Tensor:
    """Weights (K,) float32 inversely proportional to a class's images; their mean over the
    training images is 1. A class without images has weight 0.
    """
    counts = np.bincount(labels, minlength=n_classes)
    present = counts > 0
    weights = np.zeros(n_classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return torch.from_numpy(weights).float()


def balanced_samples(seed: int, step: int, batch_size: int, labels: np.ndarray) -> np.ndarray:
    """Indices (batch_size,) int64 of a step's samples: a class uniformly, then one of its images.

    Drawn with replacement, as a pure function of the arguments.
    """
    draws = generator(seed, "balanced_order", step)
    by_class = np.argsort(labels, kind="stable")
    present, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    picked = draws.integers(0, len(present), size=batch_size)
    within = np.floor(draws.random(batch_size) * counts[picked]).astype(np.int64)
    samples: np.ndarray = by_class[starts[picked] + within]
    return samples


def small_classes(labels: Sequence[int], n_classes: int) -> list[int]:
    """Classes with fewer than FEW_IMAGES training images."""
    counts = np.bincount(labels, minlength=n_classes)
    return [int(label) for label in np.flatnonzero(counts < FEW_IMAGES)]
