"""FLYP: fine-tune as you pre-train, with the contrastive loss on captions of the classes.

    loss = 1/2 mean_i -log softmax_j(s v_i . u_j)[i] + 1/2 mean_j -log softmax_i(s v_i . u_j)[j]

v_i is the feature of image i, u_i that of its caption: its class in a template drawn anew for
every image and step. Another image of the same class is a negative, as in pre-training.
s = exp(logit_scale) trains without a bound. Trains: both towers, their projections, logit scale.
Frozen: nothing. Head: built from the tuned text tower with all templates.

Recipe: AdamW 1e-5, weight decay 0.1 on everything, batch 512, no clipping.
Source: Goyal et al., "Finetune like you pretrain", CVPR 2023, arXiv 2212.00638, equation 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from core.learning.methods.base import Losses, Part, Step, TrainingHyperparameters, TrainingMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class ContrastiveHyperparameters(TrainingHyperparameters):
    """What methods that train both towers share."""

    weight_decay: float = Field(0.1, ge=0, le=10, description="Decoupled weight decay.")


class Flyp(TrainingMethod):
    name = "flyp"
    title = "FLYP"
    description = "The pre-training loss on class captions: strong where classes are many."
    citation = "Goyal et al., Finetune Like You Pretrain, CVPR 2023, arXiv 2212.00638"
    Hyperparameters = ContrastiveHyperparameters
    trains: ClassVar[frozenset[Part]] = frozenset({"image_tower", "text_tower", "logit_scale"})
    couples_batch = True

    def loss(self, step: Step) -> Losses:
        captions = step.captions(step.student.start.templates)
        texts_BD = step.text_features(captions)
        loss = info_nce(step.image_features(), texts_BD, step.student.logit_scale())
        return Losses(loss=loss, contrastive=loss)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}


def info_nce(v_BD: Tensor, u_BD: Tensor, scale: Tensor | float) -> Tensor:
    """The symmetric contrastive loss of B pairs of unit features; `scale` is exp(logit_scale)."""
    logits_BB = scale * v_BD @ u_BD.T
    rows = logits_BB.log_softmax(dim=1).diagonal()
    columns = logits_BB.log_softmax(dim=0).diagonal()
    return -0.5 * (rows.mean() + columns.mean())
