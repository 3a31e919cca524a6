"""Lipsum-FT's random texts: ordinary token ids in a random order, between a text's two marks.

The ids of a step are a pure function of (seed, step). They are uniform over the ids that may
stand inside a text; special ids never occur there.
Source: Nam, Heo and Lee, ICLR 2024, section 5.1, and the authors' released step.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from core.learning.randomness import generator
from core.learning.text_tower import TextTower

PROBE_TEXTS = 80
PROBE_LENGTH = 8  # ordinary tokens; both are Lipsum-FT's own
_PROBE_SEED = 2**31  # no run's own: a job's seeds end one below


class RandomTexts(Protocol):
    """Where a run's random texts come from: drawn, or read from a file by `lipsum verify`."""

    def token_ids(self, step: int, n_texts: int, length: int) -> Tensor:
        """Rows (M, N) of token ids, marks included, for the text tower."""


class DrawnTexts:
    """Random texts of a seed, for one text tower.

    Raises `core.learning.text_tower.NoRandomTexts` when the tokenizer has no start or end mark.
    """

    def __init__(self, tower: TextTower, seed: int) -> None:
        self._frame = tower.frame()
        self._padded = not tower.stops_at_end_of_text
        self._seed = seed

    def token_ids(self, step: int, n_texts: int, length: int) -> Tensor:
        draws = generator(self._seed, "random_texts", step)
        ordinary = self._frame.ordinary
        picked = draws.integers(0, len(ordinary), size=(n_texts, length))
        return self._frame.rows(ordinary[torch.from_numpy(picked)], padded=self._padded)


def probe_features(tower: TextTower, device: torch.device) -> Tensor:
    """Features (80, D) float32 on the CPU of the random texts that energy gaps are measured on:
    the same for every job of a base.

    Raises `core.learning.text_tower.NoRandomTexts` as `DrawnTexts` does.
    """
    ids = DrawnTexts(tower, _PROBE_SEED).token_ids(0, PROBE_TEXTS, PROBE_LENGTH)
    with torch.inference_mode():
        return tower.features(ids.to(device)).float().cpu()
