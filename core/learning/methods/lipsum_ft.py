"""Lipsum-FT: cross-entropy, and answers to random texts that stay what they were.

    loss = CE + lambda R,   R = mean_b 1/(2M) sum_m (v_m(x_b) - v0_m(x_b))^2
    v_m(x) = s <f(x), g_m>,   v0_m(x) = s <f0(x), g_m>

g_m is the feature of the m-th random text: L ordinary token ids between the start and the end
mark, drawn uniformly and anew each step, M texts a step. Features are L2-normalised and
multiplied by s = exp(logit_scale) of the zero-shot model: without s the penalty would be s^2,
about ten thousand times, weaker. Trains: image tower, head (from 80 templates). Frozen: text
tower, zero-shot image tower, logit scale.

`texts` chooses the paper's ablations: "templates" takes class captions, drawn anew each step, in
place of random texts; "features" takes none, R = s^2 / (2 D) mean_b ||f(x_b) - f0(x_b)||^2, which
is R's value when texts point evenly in all D directions.

Recipe: AdamW 1e-5 without weight decay, 10 % warm-up then cosine, batch 256, lambda 1, M 80, L 8.
Source: Nam, Heo and Lee, "Lipsum-FT", ICLR 2024, arXiv 2404.00860, equations 7 and 8; s and the
normalisation as the authors' released step has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from core.learning.methods.base import Losses, Step, TrainingHyperparameters, TrainingMethod
from core.learning.randomness import generator

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class LipsumHyperparameters(TrainingHyperparameters):
    """Fine-tuning's recipe and the penalty's three numbers."""

    penalty_weight: float = Field(1.0, ge=0, le=1e6, description="lambda, the penalty's weight.")
    n_texts: int = Field(80, ge=1, le=4096, description="M, random texts a step.")
    text_length: int = Field(8, ge=1, le=512, description="L, ordinary tokens of a random text.")
    texts: Literal["random", "templates", "features"] = Field(
        "random", description="What is kept: answers to random texts, to captions, or features."
    )


class LipsumFT(TrainingMethod):
    name = "lipsum_ft"
    title = "Lipsum-FT"
    description = "Fine-tuning that keeps answers to random texts: the first to try."
    citation = "Nam, Heo and Lee, Lipsum-FT, ICLR 2024, arXiv 2404.00860"
    Hyperparameters = LipsumHyperparameters
    needs_theta0 = True
    needs_random_texts = True

    hyperparameters: LipsumHyperparameters

    def loss(self, step: Step) -> Losses:
        cross_entropy = step.cross_entropy()
        weight = self.hyperparameters.penalty_weight
        if weight == 0:  # not even a zero is added: lambda 0 is plain fine-tuning, bit for bit
            return Losses(loss=cross_entropy, cross_entropy=cross_entropy)
        f_BD, f0_BD = step.image_features(), step.zero_shot_features()
        if self.hyperparameters.texts == "features":
            penalty = 0.5 * step.scale**2 * (f_BD - f0_BD).square().mean()
        else:
            penalty = lipsum_penalty(f_BD, f0_BD, self._texts(step), step.scale)
        loss = cross_entropy + weight * penalty
        return Losses(loss=loss, cross_entropy=cross_entropy, penalty=penalty)

    def state(self, student: Student) -> dict[str, Tensor]:
        return {}

    def _texts(self, step: Step) -> Tensor:
        """Features (M, D) of this step's texts."""
        n_texts = self.hyperparameters.n_texts
        if self.hyperparameters.texts == "random":
            return step.random_text_features(n_texts, self.hyperparameters.text_length)
        start = step.student.start
        draws = generator(step.student.seed, "template_texts", step.number)
        classes = draws.integers(0, len(start.classes), size=n_texts)
        templates = draws.integers(0, len(start.templates), size=n_texts)
        texts = [
            start.templates[template].format(start.classes[label])
            for template, label in zip(templates, classes, strict=True)
        ]
        return step.zero_shot_text_features(texts)


def lipsum_penalty(f_BD: Tensor, f0_BD: Tensor, texts_MD: Tensor, scale: float) -> Tensor:
    """R: half the mean squared change of the scaled answers, over B images and M texts."""
    answers_BM = scale * (f_BD @ texts_MD.T)
    answers0_BM = scale * (f0_BD @ texts_MD.T)
    return 0.5 * (answers_BM - answers0_BM).square().mean()


def expected_penalty(f_BD: Tensor, f0_BD: Tensor, second_moment_DD: Tensor, scale: float) -> Tensor:
    """R in closed form, s^2/2 mean_b (f - f0)^T G (f - f0), for texts with G = E[g g^T]."""
    change_BD = f_BD - f0_BD
    return 0.5 * scale**2 * ((change_BD @ second_moment_DD) * change_BD).sum(dim=1).mean()
