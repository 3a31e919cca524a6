"""L2-SP: weight decay towards the zero-shot weights instead of towards zero.

    loss = CE + lambda / 2 ||theta - theta0||^2

over everything that trains, the head included, which starts at the zero-shot head. Trains: image
tower, head. Frozen: text tower, logit scale. Recipe: Lipsum-FT's, lambda 0.01 as in LP-FT's
comparison; no weight decay beside it.
Source: Li, Grandvalet and Davoine, "Explicit inductive bias for transfer learning", ICML 2018,
arXiv 1802.01483, equation 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class StartingPointHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe and the penalty's weight."""

    penalty_weight: float = Field(0.01, ge=0, le=1e6, description="lambda, the penalty's weight.")


class L2SP(TrainingMethod):
    name = "l2sp"
    title = "L2-SP"
    description = "Pulls every weight back towards zero-shot: the simplest anchor."
    citation = "Li, Grandvalet and Davoine, L2-SP, ICML 2018, arXiv 1802.01483"
    Hyperparameters = StartingPointHyperparameters

    hyperparameters: StartingPointHyperparameters
    _start: dict[str, Tensor]

    def attach(self, student: Student) -> None:
        self._start = {name: p.detach().clone() for name, p in student.trained().items()}

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        distances = [
            (parameter - self._start[name]).square().sum()
            for name, parameter in step.student.trained().items()
        ]
        penalty = 0.5 * sum(distances[1:], start=distances[0])
        loss = cross_entropy + self.hyperparameters.penalty_weight * penalty
        return Losses(loss=loss, cross_entropy=cross_entropy, penalty=penalty)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}  # where it pulls to is theta0
