"""CaRot: FLYP's loss, projections held near orthogonal, and a slow teacher of both directions.

    loss = InfoNCE + a ||W_v W_t^T||_F + b ||W_v^T W_v - I||_F
           + c mean_i [ H(p_T(. | x_i), p(. | x_i)) + H(q_T(. | u_i), q(. | u_i)) ]
    p(. | x_i) = softmax_j(s v_i . u_j),   q(. | u_i) = softmax_j(s u_i . v_j),   H cross-entropy

W_v and W_t, (width, D), end the towers; a ResNet's projection has a bias, which is left out.
p_T and q_T are the teacher's, by its own logit scale. It starts at theta0 and moves behind every
n-th step, the first included: theta_T <- m theta_T + (1 - m) theta, m rising from 0.05 to 0.9
over the first fifth of the run. At theta0 the teacher is the student, so c has no gradient there.
Trains: both towers, their projections, logit scale s, without a bound. Frozen: the teacher.
Head: built from the tuned text tower; the student is what is stored.

Recipe: AdamW 1e-5, weight decay 0.1, batch 512, no clipping; a 0.05, b 0.2, c 1.5, n 500 of the
paper's 25 020 steps, so "auto" is a fiftieth of a shorter run.
Source: Oh et al., "Towards calibrated robust fine-tuning of vision-language models", NeurIPS
2024, arXiv 2311.01723. As in the released code, norms are not squared and the directions of c are
summed, not halved. That code leaves c out of step 0 and multiplies a module, not its weight, for
b of a ResNet, which fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from core.learning.architecture import Architecture
from core.learning.end_projections import end_projections, lacks_projections
from core.learning.methods.base import Auto, Knobs, Losses, Part, Step, TrainingMethod
from core.learning.methods.flyp import ContrastiveHyperparameters, info_nce

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Clip
    from core.learning.student import Student

FIRST_MOMENTUM = 0.05
MOMENTUM_RISE = 0.2  # share of the steps
TEACHER_MOVES = 50  # in the paper's run
LONGEST_INTERVAL = 500  # steps


class CarotHyperparameters(ContrastiveHyperparameters):
    """FLYP's recipe, the three terms' weights and the teacher's pace."""

    projection_weight: float = Field(
        0.05, ge=0, le=1e6, description="a, the weight of ||W_v W_t^T||."
    )
    orthogonality_weight: float = Field(
        0.2, ge=0, le=1e6, description="b, the weight of ||W_v^T W_v - I||."
    )
    distillation_weight: float = Field(
        1.5, ge=0, le=1e6, description="c, the weight of agreeing with the teacher."
    )
    teacher_momentum: float = Field(
        0.9, ge=0, le=1, description="m after its rise: what the teacher keeps when it moves."
    )
    teacher_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="n, steps between the teacher's moves. auto: 500, or a fiftieth of the run.",
    )


class CaRot(TrainingMethod):
    name = "carot"
    title = "CaRot"
    description = "FLYP with a slow teacher: well calibrated under shift as well."
    citation = "Oh et al., Towards Calibrated Robust Fine-Tuning, NeurIPS 2024, arXiv 2311.01723"
    Hyperparameters = CarotHyperparameters
    trains: ClassVar[frozenset[Part]] = frozenset({"image_tower", "text_tower", "logit_scale"})
    couples_batch = True

    hyperparameters: CarotHyperparameters
    teacher: Clip

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        return super().misfit(base) or lacks_projections(base)

    def attach(self, student: Student) -> None:
        self.teacher = student.frozen_copy()

    def loss(self, step: Step) -> Losses:
        knobs, student, teacher = self.hyperparameters, step.student, self.teacher
        captions = step.captions(student.start.templates)
        v_BD, u_BD = step.image_features(), step.text_features(captions)
        vT_BD = step.frozen_image_features(teacher)
        uT_BD = step.frozen_text_features(teacher, captions)
        scaleT: Tensor = teacher.model.logit_scale.exp()  # type: ignore[operator]
        scale = student.logit_scale()
        z_BB, zT_BB = scale * v_BD @ u_BD.T, scaleT * vT_BD @ uT_BD.T
        w_v, w_t = end_projections(student.clip)
        parts = {
            "contrastive": info_nce(v_BD, u_BD, scale),
            "projection": (w_v @ w_t.T).norm(),
            "orthogonality": (w_v.T @ w_v - w_v.new_ones(w_v.shape[1]).diag()).norm(),
            "distillation": soft_cross_entropy(zT_BB, z_BB) + soft_cross_entropy(zT_BB.T, z_BB.T),
        }
        loss = (
            parts["contrastive"]
            + knobs.projection_weight * parts["projection"]
            + knobs.orthogonality_weight * parts["orthogonality"]
            + knobs.distillation_weight * parts["distillation"]
        )
        return Losses(loss=loss, **parts)

    def state(self, student: Student) -> dict[str, Tensor]:
        from core.learning.averages import moving_tensors

        return moving_tensors(self.teacher, student)

    def after_step(self, student: Student, step: int) -> None:
        from core.learning.averages import move_towards

        if step % int(self.hyperparameters.teacher_interval) == 0:
            total, last = int(self.hyperparameters.n_steps), self.hyperparameters.teacher_momentum
            move_towards(self.teacher, student, 1.0 - teacher_momentum(step, total, last))

    @classmethod
    def _replace_auto(cls, chosen: Knobs, n_train: int) -> dict[str, Any]:
        values = super()._replace_auto(chosen, n_train)
        if values["teacher_interval"] == "auto":
            interval = values["n_steps"] // TEACHER_MOVES
            values["teacher_interval"] = max(1, min(LONGEST_INTERVAL, interval))
        return values


def teacher_momentum(step: int, total_steps: int, last: float) -> float:
    """m behind the step that counts from 0."""
    rise = MOMENTUM_RISE * total_steps
    if step >= rise:
        return last
    return FIRST_MOMENTUM + (last - FIRST_MOMENTUM) * step / rise


def soft_cross_entropy(taught_BB: Tensor, logits_BB: Tensor) -> Tensor:
    """Mean over rows of H(softmax(taught), softmax(logits))."""
    return -(taught_BB.softmax(dim=1) * logits_BB.log_softmax(dim=1)).sum(dim=1).mean()
