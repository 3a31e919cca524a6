"""StarFT: FLYP, and answers to captions with a spurious detail that stay what they were.

    loss = InfoNCE + lambda_t R,   lambda_t = lambda (1 - (t + 1) / T)   at step t of T, from 0
    R = mean_i KL( softmax_j(S0_ij) || softmax_j(S_ij) ),   over j with y_j != y_i
    S0_ij = s0 v0_i . u0_j,   S_ij = s0 v_i . u_j

u_j is the feature of a spurious caption of image j: its class and a detail drawn anew from
`pool`, such as "a photo of a dog on a gravel road."; v_i that of image i. Index 0 is the
zero-shot model, of the same augmented pixels; both sides take its scale s0. Captions of the
image's own class are left out of the softmax by a large finite number: where a batch has one
class only, R is then 0, and not NaN. InfoNCE is FLYP's, on the caption "a photo of a CLASS.".
The authors lower lambda once an epoch; here it falls every step, to 0 in the last.
Trains: both towers, their projections, logit scale. Frozen: the zero-shot model. Head: built
from the tuned text tower with all templates.

Recipe: AdamW 1e-5, weight decay 0.1, batch 512, lambda 0.5, backgrounds.
Source: Kim et al., "StarFT: Robust fine-tuning of zero-shot models via spuriosity alignment",
IJCAI 2025, arXiv 2505.13232; the mask and s0 as the authors' released loss has them. The phrases
are not theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from core.learning.methods.base import Losses, Part, Step, TrainingMethod
from core.learning.methods.flyp import ContrastiveHyperparameters, info_nce
from core.learning.methods.kd import kl_divergence
from core.learning.phrases import POOLS

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student

CAPTION = "a photo of a {}."
_LEFT_OUT = -1e8  # exp of it is 0 beside any logit; infinity would make NaN of a row without others


class SpuriosityHyperparameters(ContrastiveHyperparameters):
    """FLYP's recipe and the penalty's weight and captions."""

    penalty_weight: float = Field(
        0.5, ge=0, le=1e6, description="lambda, the penalty's weight at the start; it falls to 0."
    )
    pool: Literal["background", "texture", "resolution"] = Field(
        "background", description="What spurious captions speak of."
    )


class StarFT(TrainingMethod):
    name = "starft"
    title = "StarFT"
    description = "FLYP that learns no backgrounds or textures: for groups and spurious cues."
    citation = "Kim et al., StarFT, IJCAI 2025, arXiv 2505.13232"
    Hyperparameters = SpuriosityHyperparameters
    trains: ClassVar[frozenset[Part]] = frozenset({"image_tower", "text_tower", "logit_scale"})
    needs_theta0 = True
    couples_batch = True

    hyperparameters: SpuriosityHyperparameters

    def loss(self, step: Step) -> Losses:
        v_BD = step.image_features()
        u_BD = step.text_features(step.captions([CAPTION]))
        contrastive = info_nce(v_BD, u_BD, step.student.logit_scale())
        if self.hyperparameters.penalty_weight == 0:  # FLYP, and no second model runs
            return Losses(loss=contrastive, contrastive=contrastive)
        spurious = step.captions(POOLS[self.hyperparameters.pool])
        penalty = spurious_penalty(
            v_BD,
            step.text_features(spurious),
            step.zero_shot_features(),
            step.zero_shot_text_features(spurious),
            step.labels,
            step.scale,
        )
        weight = self.hyperparameters.penalty_weight * (1 - (step.number + 1) / step.total)
        loss = contrastive + weight * penalty
        return Losses(loss=loss, contrastive=contrastive, penalty=penalty)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}


def spurious_penalty(
    v_BD: Tensor, u_BD: Tensor, v0_BD: Tensor, u0_BD: Tensor, labels_B: Tensor, scale: float
) -> Tensor:
    """R of B images and their spurious captions (unit features) and classes, at theta0's scale."""
    same_BB = labels_B[:, None] == labels_B[None, :]
    teacher_BB = (scale * v0_BD @ u0_BD.T).masked_fill(same_BB, _LEFT_OUT)
    student_BB = (scale * v_BD @ u_BD.T).masked_fill(same_BB, _LEFT_OUT)
    return kl_divergence(teacher_BB, student_BB)
