"""TRACER: FLYP's loss and a teacher that remembers both where training began and where it is.

    loss = InfoNCE + a ||W_v W_t^T||_F + lambda L_SD
    L_SD = a_fd [ mse(v, v_T) + mse(u, u_T) ]
         + a_crd / 2 [ KL(z_T || z) + KL(z_T' || z') ]
         + a_icl / 2 [ NLL(s v u_T') + NLL(s u v_T') ]
         + a_x / 2 [ KL(z_T || s v u_T') + KL(z_T' || s u v_T') ]
    z = s v u',   z_T = s_T v_T u_T'

v and u are the features of images and captions (B, D), ' transposes, mse is a mean over B and D.
KL compares softmaxes of rows and means over B, NLL is the mean of -log softmax on the diagonal.
T marks the teacher, the Beta average of the whole trajectory, theta0 included, moved behind every
step (`core.learning.averages`); s_T is its own logit scale. W_v and W_t, (width, D), end the
towers; a ResNet's projection has a bias, which is left out. At theta0 all but a_icl's terms are
zero, and so is their gradient. Trains: both towers, their projections, logit scale s, without a
bound. Frozen: the teacher. Head: built from the tuned text tower; the student is what is stored.

Recipe: AdamW 1e-5, weight decay 0.1, batch 512, no clipping; a 0.05, lambda 0.9, a_fd 2000 (5000
on iWildCam), the rest 1. The paper prints weight decay 0.01; these are its released script's.
Source: Asadollahzadeh et al., "TRACER: persistent regularization for robust multimodal
finetuning", ICML 2026, arXiv 2605.29380. The released code leaves L_SD out of step 0, where only
a_icl's terms would act.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from core.learning.architecture import Architecture
from core.learning.end_projections import end_projections, lacks_projections
from core.learning.methods.base import Losses, Part, Step, TrainingMethod
from core.learning.methods.flyp import ContrastiveHyperparameters, info_nce
from core.learning.methods.kd import kl_divergence

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from core.learning.models import Clip
    from core.learning.student import Student


class TracerHyperparameters(ContrastiveHyperparameters):
    """FLYP's recipe and the weights of the terms."""

    projection_weight: float = Field(
        0.05, ge=0, le=1e6, description="a, the weight of ||W_v W_t^T||."
    )
    distillation_weight: float = Field(
        0.9, ge=0, le=1e6, description="lambda, the weight of all that follows the teacher."
    )
    feature_weight: float = Field(
        2000.0, ge=0, le=1e6, description="a_fd, the weight of features staying the teacher's."
    )
    relation_weight: float = Field(
        1.0, ge=0, le=1e6, description="a_crd, the weight of answers staying the teacher's."
    )
    interaction_weight: float = Field(
        1.0, ge=0, le=1e6, description="a_icl, the weight of telling the teacher's pairs apart."
    )
    cross_weight: float = Field(
        1.0, ge=0, le=1e6, description="a_x, the weight of answers to the teacher's features."
    )


class Tracer(TrainingMethod):
    name = "tracer"
    title = "TRACER"
    description = "Distils from its own trajectory: the best average over shifts in print."
    citation = "Asadollahzadeh et al., TRACER, ICML 2026, arXiv 2605.29380"
    Hyperparameters = TracerHyperparameters
    trains: ClassVar[frozenset[Part]] = frozenset({"image_tower", "text_tower", "logit_scale"})
    couples_batch = True

    hyperparameters: TracerHyperparameters
    teacher: Clip
    _shares: np.ndarray

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        return super().misfit(base) or lacks_projections(base)

    def attach(self, student: Student) -> None:
        from core.learning.averages import beta_shares

        self.teacher = student.frozen_copy()
        self._shares = beta_shares(int(self.hyperparameters.n_steps))

    def loss(self, step: Step) -> Losses:
        knobs, student = self.hyperparameters, step.student
        captions = step.captions(student.start.templates)
        v_BD, u_BD = step.image_features(), step.text_features(captions)
        contrastive = info_nce(v_BD, u_BD, student.logit_scale())
        w_v, w_t = end_projections(student.clip)
        projection = (w_v @ w_t.T).norm()
        distillation = self._distillation(step, v_BD, u_BD, captions)
        loss = contrastive + knobs.projection_weight * projection
        loss = loss + knobs.distillation_weight * distillation
        return Losses(
            loss=loss, contrastive=contrastive, projection=projection, distillation=distillation
        )

    def _distillation(self, step: Step, v: Tensor, u: Tensor, captions: list[str]) -> Tensor:
        knobs, teacher = self.hyperparameters, self.teacher
        vT = step.frozen_image_features(teacher)
        uT = step.frozen_text_features(teacher, captions)
        s, sT = step.student.logit_scale(), teacher.model.logit_scale.exp()  # type: ignore[operator]
        z, zT = s * v @ u.T, sT * vT @ uT.T
        # As z's transpose is rounded, so that what is equal at theta0 is equal bit for bit.
        v_uT, u_vT = s * v @ uT.T, (s * vT @ u.T).T
        feature = (v - vT).square().mean() + (u - uT).square().mean()
        relation = kl_divergence(zT, z) + kl_divergence(zT.T, z.T)
        interaction = pair_nll(v_uT) + pair_nll(u_vT)
        cross = kl_divergence(zT, v_uT) + kl_divergence(zT.T, u_vT)
        return (
            knobs.feature_weight * feature
            + knobs.relation_weight / 2 * relation
            + knobs.interaction_weight / 2 * interaction
            + knobs.cross_weight / 2 * cross
        )

    def state(self, student: Student) -> dict[str, Tensor]:
        from core.learning.averages import moving_tensors

        return moving_tensors(self.teacher, student)

    def after_step(self, student: Student, step: int) -> None:
        from core.learning.averages import move_towards

        move_towards(self.teacher, student, float(self._shares[step + 1]))


def pair_nll(logits_BB: Tensor) -> Tensor:
    """Mean over rows of -log softmax of the row's own column."""
    return -logits_BB.log_softmax(dim=1).diagonal().mean()
