"""LP-FT: first the head alone, then everything, so that a raw head cannot bend the features.

    steps 0 .. P-1:   theta_head <- CE, features frozen        (linear probing)
    steps P .. N-1:   theta      <- CE, image tower and head   (fine-tuning from that head)

P = probe_fraction N. Probing has a rate of its own, by a cosine to zero; fine-tuning then has
the usual warm-up and cosine over the steps that are left. The head starts from the templates, as
is usual for CLIP; the paper's starts from nothing. Trains: head, then image tower and head.
Frozen: text tower, logit scale.
Recipe: Lipsum-FT's, the first fifth probing at 1e-3 with AdamW.
Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform
out-of-distribution", ICLR 2022, arXiv 2202.10054.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.methods.base import Losses, Part, Step, TrainingHyperparameters, TrainingMethod
from core.learning.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class ProbingHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe and the probing phase's."""

    probe_fraction: float = Field(
        0.2, ge=0, le=1, description="Share of the steps that train the head alone."
    )
    probe_learning_rate: float = Field(
        1e-3, gt=0, le=1, description="Peak learning rate of the head while it trains alone."
    )


class LpFT(TrainingMethod):
    name = "lp_ft"
    title = "LP-FT"
    description = "Fits the head before the tower moves: less distortion of the features."
    citation = "Kumar et al., Fine-Tuning can Distort Pretrained Features, ICLR 2022"
    Hyperparameters = ProbingHyperparameters

    hyperparameters: ProbingHyperparameters

    def training_parts(self, step: int, schedule: Schedule) -> frozenset[Part]:
        return frozenset({"head"}) if step < self._probe_steps(schedule) else self.trains

    def learning_rate(self, part: Part, step: int, schedule: Schedule) -> float:
        probing = self._probe_steps(schedule)
        if step < probing:
            alone = Schedule(self.hyperparameters.probe_learning_rate, probing, 0)
            return alone.rate(step) if part == "head" else 0.0
        left = schedule.total_steps - probing
        warmup = round(schedule.warmup_steps * left / schedule.total_steps)
        return Schedule(schedule.peak, left, warmup).rate(step - probing)

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        return Losses(loss=cross_entropy, cross_entropy=cross_entropy)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}

    def _probe_steps(self, schedule: Schedule) -> int:
        return math.floor(self.hyperparameters.probe_fraction * schedule.total_steps)
