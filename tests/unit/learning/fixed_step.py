"""A step of given numbers: what a method's loss is a function of, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray


def unit(rows: Array) -> Array:
    """Rows of length one."""
    normed: Array = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return normed


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    powers = np.exp(logits)
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


@dataclass
class FixedStudent:
    """The parts of a student that losses read, as given."""

    weights: dict[str, Tensor]
    zero_shot_head: Tensor
    contexts: Tensor

    def trained(self) -> dict[str, Tensor]:
        return self.weights

    def context_head(self) -> Tensor:
        return self.contexts


@dataclass
class FixedStep:
    """Features, head and labels of B = 6 images in D = 4 dimensions, K = 3 classes, float64."""

    seed: int = 0
    scale: float = 9.0
    number: int = 2
    total: int = 10
    arrays: dict[str, Array] = field(init=False)
    student: Any = field(init=False)

    def __post_init__(self) -> None:
        draws = np.random.default_rng(self.seed)
        self.arrays = {
            "f": unit(draws.normal(size=(6, 4))),
            "f0": unit(draws.normal(size=(6, 4))),
            "head": draws.normal(size=(4, 3)),
            "head0": draws.normal(size=(4, 3)),
            "contexts": unit(draws.normal(size=(5, 4))).T,
            "texts": unit(draws.normal(size=(7, 4))),
            "labels": draws.integers(0, 3, size=6),
        }
        self.student = FixedStudent({}, self._tensor("head0"), self._tensor("contexts"))

    @property
    def labels(self) -> Tensor:
        return torch.from_numpy(self.arrays["labels"])

    def image_features(self) -> Tensor:
        return self._tensor("f")

    def zero_shot_features(self) -> Tensor:
        return self._tensor("f0")

    def logits(self) -> Tensor:
        return self.scale * self._tensor("f") @ self._tensor("head")

    def cross_entropy(self) -> Tensor:
        return torch.nn.functional.cross_entropy(self.logits(), self.labels)

    def random_text_features(self, n_texts: int, length: int) -> Tensor:
        return self._tensor("texts")

    def captions(self, templates: Sequence[str]) -> list[str]:
        return [templates[0].format(label) for label in self.arrays["labels"]]

    def expected_cross_entropy(self) -> float:
        """-log softmax(s f W)[y], meaned, in NumPy."""
        a = self.arrays
        answers = softmax(self.scale * a["f"] @ a["head"])
        return float(-np.log(answers[np.arange(6), a["labels"]]).mean())

    def _tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])
