"""auto: the service's own choice, made without looking at a shifted image.

    1. train k Lipsum-FT models that differ by their draws alone
    2. lines: from zero-shot to each of them, and to their mean
    3. points: alpha 0, 0.1 .. 1 on every line (WiSE-FT)
    4. keep, of the points whose accuracy on the ID validation images is no more than `tolerance`
       below the best point's, the one whose features of these images lie nearest to zero-shot's:
       mean_x ||f(x) - f0(x)||^2 is smallest

Robustness is lost by moving away from zero-shot, and the distance that the features have moved
says, without any label, how far that is, along one line and between lines. Built-in corruptions
were tried as a stand-in for a shift and are not used: they reward what helps on photographs, and
said little of paintings and sketches (docs/decisions/auto.md).

Trains, frozen and logit scale: as Lipsum-FT. Stored: one model. Cost: k times Lipsum-FT's.
Recipe: Lipsum-FT's, k 2, tolerance 0.5 points.
Sources: Nam, Heo and Lee, ICLR 2024, arXiv 2404.00860; Wortsman et al., CVPR 2022, arXiv
2109.01903 (the line); Wortsman et al., ICML 2022, arXiv 2203.05482 (the mean); Kumar et al., ICLR
2022, arXiv 2202.10054 (distortion). The rule that puts them together is this service's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from core.learning.architecture import Architecture
from core.learning.methods.base import Knobs, Method
from core.learning.methods.lipsum_ft import LipsumFT, LipsumHyperparameters
from core.learning.randomness import generator

ALPHAS = tuple(step / 10 for step in range(11))
_OWN = ("n_members", "tolerance")


class AutoHyperparameters(LipsumHyperparameters):
    """Lipsum-FT's recipe, how many are trained and what ID accuracy may be given up."""

    n_members: int = Field(2, ge=1, le=8, description="k, models trained and averaged.")
    tolerance: float = Field(
        0.005,
        ge=0,
        le=1,
        description="ID validation accuracy, as a share, that may be given up for robustness.",
    )


@dataclass(frozen=True)
class Point:
    """A place on a line from zero-shot, and what the ID validation images say of it."""

    line: str
    alpha: float
    accuracy: float  # 0 to 1
    distortion: float  # mean squared distance of the features from zero-shot's


class Auto(Method):
    name = "auto"
    title = "Automatic choice"
    kind = "training"
    description = (
        "Lipsum-FT, averaged and drawn back towards zero-shot as far as ID accuracy bears."
    )
    citation = "This service; parts from Lipsum-FT (ICLR 2024), WiSE-FT and model soups (2022)"
    Hyperparameters = AutoHyperparameters

    def __init__(self, hyperparameters: dict[str, Any]) -> None:
        self.hyperparameters = AutoHyperparameters.model_validate(hyperparameters)

    @classmethod
    def misfit(cls, base: Architecture) -> str | None:
        return LipsumFT.misfit(base)

    @property
    def member(self) -> LipsumFT:
        """What is trained; members differ by their seeds alone."""
        return LipsumFT(self.hyperparameters.model_dump(exclude=set(_OWN)))

    def member_seeds(self, seed: int) -> list[int]:
        """The first member's is the run's own: it is the model that `lipsum_ft` would give."""
        further = range(1, self.hyperparameters.n_members)
        return [seed, *(int(generator(seed, "auto_member", n).integers(2**31)) for n in further)]

    def choose(self, points: Sequence[Point]) -> Point:
        """The point to keep; the first of equals. Raises ValueError for no points."""
        best = max(point.accuracy for point in points)
        enough = best - self.hyperparameters.tolerance - 1e-9  # shares of images are rounded
        return min(
            (point for point in points if point.accuracy >= enough),
            key=lambda point: point.distortion,
        )

    @classmethod
    def _replace_auto(cls, chosen: Knobs, n_train: int) -> dict[str, Any]:
        return LipsumFT._replace_auto(chosen, n_train)
