"""Distillation from the zero-shot model: its answers on the job's own classes are kept.

    loss = CE + lambda KL( softmax(s f0(x) W0 / T) || softmax(s f(x) W / T) ) T^2

f0 and W0 are the zero-shot tower and head, frozen; s is their logit scale, constant. Trains:
image tower, head (from W0). Frozen: text tower, logit scale. At theta0 the term and its gradient
are zero. Recipe: Lipsum-FT's, lambda 1, T 1.
Source: Hinton, Vinyals and Dean, 2015, arXiv 1503.02531, section 2 (T^2 keeps the gradient's
size); as the baseline KD of Nam, Heo and Lee, Lipsum-FT, ICLR 2024, who give no lambda in print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class DistillationHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe, the term's weight and its temperature."""

    penalty_weight: float = Field(1.0, ge=0, le=1e6, description="lambda, the term's weight.")
    distillation_temperature: float = Field(
        1.0, gt=0, le=100, description="T that both answers are divided by before the softmax."
    )


class KnowledgeDistillation(TrainingMethod):
    name = "kd"
    title = "Distillation from zero-shot"
    description = "Keeps the zero-shot model's answers on your own classes."
    citation = "Hinton, Vinyals and Dean, Distilling the Knowledge, 2015, arXiv 1503.02531"
    Hyperparameters = DistillationHyperparameters
    needs_theta0 = True

    hyperparameters: DistillationHyperparameters

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        temperature = self.hyperparameters.distillation_temperature
        teacher_BK = step.scale * step.zero_shot_features() @ step.student.zero_shot_head
        penalty = kl_divergence(teacher_BK / temperature, step.logits() / temperature)
        penalty = penalty * temperature**2
        loss = cross_entropy + self.hyperparameters.penalty_weight * penalty
        return Losses(loss=loss, cross_entropy=cross_entropy, penalty=penalty)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}


def kl_divergence(teacher_BK: Tensor, student_BK: Tensor) -> Tensor:
    """Mean over B of KL(softmax(teacher) || softmax(student)), from logits."""
    log_p, log_q = teacher_BK.log_softmax(dim=-1), student_BK.log_softmax(dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()
