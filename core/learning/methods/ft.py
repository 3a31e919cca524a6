"""Plain fine-tuning: cross-entropy over the image tower and the head.

    loss = mean_b -log softmax(s f(x_b) W)[y_b]

f(x) is the L2-normalised image feature, s = exp(logit_scale) of the zero-shot model, constant,
and W starts as the zero-shot head (80 templates) and trains. Trains: image tower, head.
Frozen: text tower, logit scale. Recipe: Lipsum-FT's, so that the two differ in one term only.
Source: the baseline "FT" of Nam, Heo and Lee, "Lipsum-FT", ICLR 2024, arXiv 2404.00860.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class FineTuning(TrainingMethod):
    name = "ft"
    title = "Plain fine-tuning"
    description = "Cross-entropy alone: the best fit to the training domain, at the shifts' cost."
    citation = "Nam, Heo and Lee, Lipsum-FT (baseline FT), ICLR 2024, arXiv 2404.00860"
    Hyperparameters = TrainingHyperparameters

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        return Losses(loss=cross_entropy, cross_entropy=cross_entropy)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}
