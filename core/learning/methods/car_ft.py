"""CAR-FT: keeps what the model says of an image's context (a photo, a sketch, a bad crop).

    loss = CE + lambda KL( p0(x) || p(x) ),   p(x) = softmax_m( s f(x) . c_m )
    c_m = normalise( mean_k normalise( g(template_m(class_k)) ) ),   m = 1..M templates

c_m, the context's direction, comes from the frozen text tower once; p0 is the zero-shot model's
answer. Trains: image tower, head (from the templates). Frozen: text tower, logit scale s. The
order teacher || student and lambda = 1 are the common reading of the abstract; the authors
released no code. Recipe: Lipsum-FT's.
Source: Mao et al., "Context-aware robust fine-tuning", IJCV 2024, arXiv 2211.16175.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod
from core.learning.methods.kd import kl_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class ContextHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe and the term's weight."""

    penalty_weight: float = Field(1.0, ge=0, le=1e6, description="lambda, the term's weight.")


class CarFT(TrainingMethod):
    name = "car_ft"
    title = "CAR-FT"
    description = "Keeps the model's sense of context: for shifts of style and medium."
    citation = "Mao et al., Context-Aware Robust Fine-Tuning, IJCV 2024, arXiv 2211.16175"
    Hyperparameters = ContextHyperparameters
    needs_theta0 = True

    hyperparameters: ContextHyperparameters
    _contexts_DM: Tensor

    def attach(self, student: Student) -> None:
        self._contexts_DM = student.context_head()

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        penalty = kl_divergence(
            step.scale * step.zero_shot_features() @ self._contexts_DM,
            step.scale * step.image_features() @ self._contexts_DM,
        )
        loss = cross_entropy + self.hyperparameters.penalty_weight * penalty
        return Losses(loss=loss, cross_entropy=cross_entropy, penalty=penalty)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}  # contexts are theta0's
