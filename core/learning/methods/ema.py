"""EMA: plain fine-tuning whose result is the moving average of its weights.

    average <- m average + (1 - m) theta   after every step, from where training begins

The average is what is scored and stored; training itself is plain fine-tuning's. Starting at
theta0 it keeps a share m^t of it, which is why it is robust: over t steps it runs along a
curve much like WiSE-FT's. Trains: image tower, head. Frozen: text tower, logit scale.
Recipe: Lipsum-FT's, m 0.999.
Source: the baseline EMA of Nam, Heo and Lee, Lipsum-FT, ICLR 2024, who give no m in print;
Polyak and Juditsky, SIAM J. Control Optim. 1992, for averaging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class AverageHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe and the average's memory."""

    ema_decay: float = Field(
        0.999, ge=0, le=1, description="m: what the average keeps of itself at each step."
    )


class ExponentialMovingAverage(TrainingMethod):
    name = "ema"
    title = "Fine-tuning with EMA"
    description = "Plain fine-tuning, averaged along the way from zero-shot."
    citation = "Nam, Heo and Lee, Lipsum-FT (baseline EMA), ICLR 2024, arXiv 2404.00860"
    Hyperparameters = AverageHyperparameters

    hyperparameters: AverageHyperparameters
    _average: dict[str, Tensor]

    def begin(self, student: Student) -> None:
        self._average = {name: p.detach().clone() for name, p in student.trained().items()}

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        return Losses(loss=cross_entropy, cross_entropy=cross_entropy)

    def after_step(self, student: Student, step: int) -> None:
        for name, parameter in student.trained().items():
            self._average[name].lerp_(parameter.detach(), 1.0 - self.hyperparameters.ema_decay)

    def state(self, student: Student) -> dict[str, Tensor]:
        return self._average

    def finished_weights(self, student: Student) -> dict[str, Tensor]:
        return self._average
