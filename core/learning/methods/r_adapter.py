"""R-Adapter: small linear adapters in both towers, ensembled three ways and folded away.

    h(X) = X + gamma s_a X A^T        behind the attention and the MLP of every block
    gamma = 0 with probability p, else 1 / (1 - p)           drawn anew: each step, each module
    A~, s~ <- m A~ + (1 - m) A, likewise s~                  after every step, from the start
    W_rep = (I + alpha s~ A~) W,   b_rep = (I + alpha s~ A~) b       what is scored and stored

    z_ij = s (v_i . u_j + delta [y_i != y_j])
    q_ij = (1 - eps) [y_i = y_j] / P_i + eps [y_i != y_j] / (B - P_i),   P_i images of class y_i
    loss = 1/2 mean_i -sum_j q_ij log softmax_j(z_ij) + 1/2 the same over columns   (MPM-NCE)

v_i is the feature of image i, u_i that of its caption, drawn as FLYP draws it. A is full and
starts at zero, or has a rank r: A = U D with D random, U zero, each averaged by itself. s_a
starts at 0.1. The fold equals adapters acting with gamma = alpha, so what leaves is a plain CLIP.
In a batch of one class eps is 0: there is nothing to spread it over.
Trains: adapters. Frozen: both towers, logit scale s. Head: built from the folded text tower.

Recipe: AdamW 5e-4 without weight decay, batch 512, p 0.2, m 0.999, alpha 0.5, delta 0.05, eps 0.02.
Source: Kim, Jeong, Kim and Kwak, "Efficient and versatile robust fine-tuning of zero-shot
models", ECCV 2024, arXiv 2408.05749. Their code drops single tokens; here, as the paper says,
whole modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from core.learning.architecture import Architecture
from core.learning.methods.base import Losses, Part, Step, TrainingHyperparameters, TrainingMethod
from core.learning.randomness import generator

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.adapters import Adapters
    from core.learning.student import Student

_OTHER_TOWERS = {"resnet": "a resnet", "other": "of another library"}


class AdapterHyperparameters(TrainingHyperparameters):
    """The shared recipe, the adapters and their loss."""

    rank: int | None = Field(
        None, ge=1, le=4096, description="Rank of the adapters; null: full, a square matrix each."
    )
    drop_probability: float = Field(
        0.2, ge=0, lt=1, description="p, with which each adapter is left out of a step."
    )
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="m: the average keeps m^t of zero-shot after t steps."
    )
    evaluation_scale: float = Field(
        0.5, ge=0, le=1, description="alpha: 0 gives the zero-shot model, 1 the whole adapters."
    )
    margin: float = Field(
        0.05, ge=0, le=2, description="delta, added to the similarities of other classes."
    )
    label_noise: float = Field(
        0.02, ge=0, lt=1, description="eps, the target's share of captions of other classes."
    )


class RAdapter(TrainingMethod):
    name = "r_adapter"
    title = "R-Adapter"
    description = "Adapters, folded away afterwards: robust with an eighth of the weights trained."
    citation = "Kim et al., Efficient and Versatile Robust Fine-Tuning, ECCV 2024, arXiv 2408.05749"
    Hyperparameters = AdapterHyperparameters
    default_learning_rate = 5e-4
    trains: ClassVar[frozenset[Part]] = frozenset({"added"})
    couples_batch = True

    hyperparameters: AdapterHyperparameters
    adapters: Adapters

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        needs = "it needs transformer blocks of open_clip in both towers, and this base"
        if not base.has_text_tower:
            return f"{needs} has no text tower"
        for tower, kind in (("image", base.image_tower), ("text", base.text_tower)):
            if kind not in ("transformer", "unknown"):
                return f"{needs}'s {tower} tower is {_OTHER_TOWERS.get(kind, kind)}"
        return None

    def attach(self, student: Student) -> None:
        from core.learning.adapters import Adapters

        self.adapters = Adapters(
            student.clip.model, rank=self.hyperparameters.rank, seed=student.seed
        )
        student.added.update(self.adapters.parameters)

    def before_step(self, student: Student, step: int) -> None:
        probability = self.hyperparameters.drop_probability
        self.adapters.insert(drop_factors(student.seed, step, len(self.adapters), probability))

    def loss(self, step: Step) -> Losses:
        u_BD = step.text_features(step.captions(step.student.start.templates))
        margin, noise = self.hyperparameters.margin, self.hyperparameters.label_noise
        loss = mpm_nce(
            step.image_features(), u_BD, step.labels, step.scale, margin=margin, noise=noise
        )
        return Losses(loss=loss, contrastive=loss)

    def state(self, student: Student) -> dict[str, Tensor]:
        return self.adapters.averages

    def after_step(self, student: Student, step: int) -> None:
        self.adapters.remove()
        self.adapters.accumulate(self.hyperparameters.ema_decay)

    def finished_weights(self, student: Student) -> dict[str, Tensor]:
        return self.adapters.folded(self.hyperparameters.evaluation_scale)


def drop_factors(seed: int, step: int, n_modules: int, probability: float) -> list[float]:
    """gamma of each module's adapter in a step, whatever was drawn before."""
    draws = [generator(seed, "adapter_drop", step, m).random() for m in range(n_modules)]
    return [0.0 if draw < probability else 1.0 / (1.0 - probability) for draw in draws]


def mpm_nce(
    v_BD: Tensor, u_BD: Tensor, labels_B: Tensor, scale: float, *, margin: float, noise: float
) -> Tensor:
    """MPM-NCE of B images, their captions (unit features both) and their classes."""
    is_same_BB = labels_B[:, None] == labels_B[None, :]
    same_BB = is_same_BB.to(v_BD.dtype)
    n_same_B1 = same_BB.sum(dim=1, keepdim=True)
    n_others_B1 = len(labels_B) - n_same_B1
    noise_B1 = noise * (n_others_B1 > 0).to(v_BD.dtype)
    target_BB = ((1 - noise_B1) / n_same_B1).where(is_same_BB, noise_B1 / n_others_B1.clamp(min=1))
    logits_BB = scale * (v_BD @ u_BD.T + margin * (1 - same_BB))
    rows_B = (target_BB * logits_BB.log_softmax(dim=1)).sum(dim=1)
    columns_B = (target_BB.T * logits_BB.log_softmax(dim=0)).sum(dim=0)
    return -0.5 * (rows_B.mean() + columns_B.mean())
