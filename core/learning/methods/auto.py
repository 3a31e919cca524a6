"""auto: the service's own choice, made without looking at a shifted image.

    1. train k Lipsum-FT models at the learning rates r, 3 r, .. and take their mean as well
    2. each of these ends theta answers together with zero-shot theta0, image by image:
       P(y|x) = h omega(x) softmax(z(x) / T) + (1 - h omega(x)) softmax(z0(x) / T0)
       omega(x) = sigmoid((1.5 d - d(x)) / (0.5 d))
       d(x): squared distance of x to VRF's bank, the training images that theta0 answers wrong and
       theta right; d: the mean of d(x) over the ID validation images
    3. points: h 0, 0.1 .. 1 for every end
    4. keep, of the points whose accuracy on the ID validation images is no more than `tolerance`
       below the best point's, the one that moves theta0's answers least:
       mean_x 1/2 sum_y |P(y|x) - P0(y|x)| is smallest

Two kinds of shift, two safeguards. An image unlike those trained on lies several d from the bank,
and theta0 answers it; how far counts as far is measured on ID images (VRF's own grid for 1.5 d and
0.5 d asks the ID validation images for the weight of images that are not among them). An image that
looks like those trained on and misleads, by its background say, is near the bank: there h holds the
fine-tuned model back as far as ID accuracy bears. What is far is safe from a high learning rate,
which is why one is tried. What else was tried is in docs/decisions/auto.md.

Trains, frozen and logit scale: as Lipsum-FT. Stored: a mixture of theta0 and the end kept, and that
end as a checkpoint. Cost: k times Lipsum-FT's training; to answer, both models.
Recipe: Lipsum-FT's, k 2, tolerance 0.5 points.
Sources: Zhu, Cui and Zhang, NeurIPS 2024, arXiv 2411.06966 (bank, mixture, temperatures); Nam, Heo
and Lee, ICLR 2024, arXiv 2404.00860 (what trains); Wortsman et al., ICML 2022, arXiv 2203.05482
(the mean). The constants, h and the rule that puts them together are this service's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from core.learning.architecture import Architecture
from core.learning.methods.base import Knobs, Method
from core.learning.methods.lipsum_ft import LipsumFT, LipsumHyperparameters
from core.learning.randomness import generator

if TYPE_CHECKING:
    from core.learning.gated import Point

RATE_FACTOR = 3.0  # of one member's learning rate to the one's before
_OWN = ("n_members", "tolerance")


class AutoHyperparameters(LipsumHyperparameters):
    """Lipsum-FT's recipe, how many are trained and what ID accuracy may be given up."""

    n_members: int = Field(
        2,
        ge=1,
        le=4,
        description="k, models trained: the first at learning_rate, each further one at three "
        "times the rate before.",
    )
    tolerance: float = Field(
        0.005,
        ge=0,
        le=1,
        description="ID validation accuracy, as a share, that may be given up for robustness.",
    )


class Auto(Method):
    name = "auto"
    title = "Automatic choice"
    kind = "training"
    description = (
        "Lipsum-FT at two rates, mixed with zero-shot image by image as far as ID accuracy bears."
    )
    citation = "This service; parts from VRF (NeurIPS 2024), Lipsum-FT (ICLR 2024), soups (2022)"
    Hyperparameters = AutoHyperparameters
    output = "mixture"

    def __init__(self, hyperparameters: dict[str, Any]) -> None:
        self.hyperparameters = AutoHyperparameters.model_validate(hyperparameters)

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        return LipsumFT.misfit(base)

    def members(self, seed: int) -> list[tuple[LipsumFT, int]]:
        """What is trained, each with the seed of its draws. The first is the run that `lipsum_ft`
        would make with these hyperparameters and this seed."""
        recipe = self.hyperparameters.model_dump(exclude=set(_OWN))
        rate = float(recipe["learning_rate"])
        found = []
        for place in range(self.hyperparameters.n_members):
            own_rate = min(rate * RATE_FACTOR**place, 1.0)  # no recipe takes more
            own_seed = (
                seed if place == 0 else int(generator(seed, "auto_member", place).integers(2**31))
            )
            found.append((LipsumFT({**recipe, "learning_rate": own_rate}), own_seed))
        return found

    def choose(self, points: Sequence[Point]) -> Point:
        """The point to keep; the first of equals. Raises ValueError for no points."""
        best = max(point.accuracy for point in points)
        enough = best - self.hyperparameters.tolerance - 1e-9  # shares of images are rounded
        return min(
            (point for point in points if point.accuracy >= enough),
            key=lambda point: point.moved,
        )

    @classmethod
    def _replace_auto(cls, chosen: Knobs, n_train: int) -> dict[str, Any]:
        return LipsumFT._replace_auto(chosen, n_train)
