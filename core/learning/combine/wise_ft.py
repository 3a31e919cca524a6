"""WiSE-FT: the straight line between zero-shot and fine-tuned weights.

    theta(alpha) = (1 - alpha) theta0 + alpha theta1

over the whole state, the head included, where theta0's head is the zero-shot head of the same
classes in the same order. alpha 0 and 1 return the parents' tensors themselves: computing
(1 - a) x + a y there would lose the sign of -0.0. alpha 0.5 is the authors' choice when nothing
is known of the shift. With `fisher`, every weight has its own place on the line,

    theta_i = (c0 theta0_i + c1 theta1_i) / (c0 + c1)
    c0 = (1 - alpha) max(F0_i, 1e-8),   c1 = alpha max(F1_i, 1e-8)

F the diagonal Fisher information of each model on training images (`core.learning.fisher`); what
neither model's answer hangs on lies at alpha. A head that is built from the text tower counts as
fixed there, so that the text tower lies at alpha.
Stored: one model, the one at `alpha`. `alphas` are scored beside it and not stored. Choose none
by a shifted split that is reported.
Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, arXiv 2109.01903.
The Fisher weights are in the authors' released code and not in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from core.learning.combine.base import Combination, Material, Merged
from core.learning.merging import merge_states
from core.learning.methods.base import Knobs

if TYPE_CHECKING:
    from torch import Tensor

FISHER_FLOOR = 1e-8

Alpha = Annotated[float, Field(ge=0, le=1)]


class WiseHyperparameters(Knobs):
    """How far along the line."""

    alpha: float = Field(
        0.5, ge=0, le=1, description="The model that is kept: 0 is zero-shot, 1 is fine-tuned."
    )
    alphas: list[Alpha] = Field(
        default=[],
        max_length=101,
        description="Further alphas to score in the same job, for the whole curve.",
    )
    fisher: bool = Field(
        False,
        description="Weigh every weight by both models' Fisher information on training images.",
    )

    @field_validator("alphas")
    @classmethod
    def _in_order(cls, alphas: list[float]) -> list[float]:
        return sorted(set(alphas))


class WiseFT(Combination):
    name = "wise_ft"
    title = "WiSE-FT"
    description = "Averages a finished model with its zero-shot parent: more robust at no cost."
    citation = "Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022"
    Hyperparameters = WiseHyperparameters
    n_inputs = (1, 1)
    fits_validation = False

    hyperparameters: WiseHyperparameters

    def combine(self, material: Material) -> Merged:
        before, (after,) = material.theta0, material.inputs
        at = partial(interpolate, before.tensors, after.tensors)
        if self.hyperparameters.fisher:
            diagonals = material.fisher(before), material.fisher(after)
            at = partial(fisher_interpolate, before.tensors, after.tensors, *diagonals)
        kept = self.hyperparameters.alpha
        others = [alpha for alpha in self.hyperparameters.alphas if alpha != kept]
        beside = {f"wise_ft@{alpha:g}": partial(at, alpha) for alpha in others}
        return Merged(at(kept), name=f"wise_ft@{kept:g}", scored_beside=beside)


def interpolate(
    theta0: Mapping[str, Tensor], theta1: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """(1 - alpha) theta0 + alpha theta1, tensor by tensor, computed in float32 or wider.

    Integer and boolean buffers are theta1's. Raises ValueError naming the first key that only
    one side has, whose shape or dtype differs, or that is not finite.
    """

    def mix(key: str, tensors: list[Tensor]) -> Tensor:
        x, y = tensors
        return _line(x, y, alpha)

    return merge_states({"theta0": theta0, "theta1": theta1}, mix, buffers_from="theta1")


def fisher_interpolate(
    theta0: Mapping[str, Tensor],
    theta1: Mapping[str, Tensor],
    fisher0: Mapping[str, Tensor],
    fisher1: Mapping[str, Tensor],
    alpha: float,
) -> dict[str, Tensor]:
    """The line weighed by each model's diagonal Fisher information, in float32 or wider.

    A tensor that the two diagonals leave out is on the plain line. Raises ValueError as
    `interpolate` does, and for diagonals that do not fit the models or one another.
    """
    _check_fisher(theta0, fisher0, fisher1)

    def mix(key: str, tensors: list[Tensor]) -> Tensor:
        x, y = tensors
        if alpha in (0.0, 1.0) or key not in fisher0:
            return _line(x, y, alpha)
        c0 = (1.0 - alpha) * fisher0[key].to(x.dtype).clamp(min=FISHER_FLOOR)
        c1 = alpha * fisher1[key].to(x.dtype).clamp(min=FISHER_FLOOR)
        return (c0 * x + c1 * y) / (c0 + c1)

    return merge_states({"theta0": theta0, "theta1": theta1}, mix, buffers_from="theta1")


def _line(x: Tensor, y: Tensor, alpha: float) -> Tensor:
    if alpha in (0.0, 1.0):
        return y if alpha else x
    return (1.0 - alpha) * x + alpha * y


def _check_fisher(
    theta0: Mapping[str, Tensor], fisher0: Mapping[str, Tensor], fisher1: Mapping[str, Tensor]
) -> None:
    lonely = sorted((fisher0.keys() ^ fisher1.keys()) | (fisher0.keys() - theta0.keys()))
    if lonely:
        raise ValueError(
            f"{lonely[0]!r} is not in both Fisher diagonals and the model; estimate both on the "
            "same weights"
        )
    for key in fisher0:
        for name, diagonal in (("theta0", fisher0[key]), ("theta1", fisher1[key])):
            if diagonal.shape != theta0[key].shape or not bool(diagonal.isfinite().all()):
                raise ValueError(
                    f"the Fisher diagonal of {key!r} in {name} is {tuple(diagonal.shape)} for "
                    f"weights {tuple(theta0[key].shape)}, or is not finite"
                )
