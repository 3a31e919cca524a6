"""TPGM: brings every tensor back towards zero-shot, as far as held-out ID images say.

    theta_i = theta0_i + min(1, gamma_i / n_i) (theta1_i - theta0_i),   n_i = |theta1_i - theta0_i|

One radius gamma_i a tensor, learned once after fine-tuning: Adam at 1e-2, 200 steps of CE on
batches of the validation split, theta0 and theta1 constant. gamma_i begins at half its tensor's
smallest n_i and is kept in [1e-8, largest n_i] after each step. |.| is the L2 norm of the whole
tensor, or MARS: the sum of magnitudes of each row, a row for each index of the first dimension,
which the authors take for ResNets. 1e-8 is added to norms. The head is a tensor like the others.
An infinite radius gives theta1's tensor and 0 theta0's, bit for bit. A tensor that the loss does
not hang on keeps its first radius.
Stored: one model. The validation split was learned from: its score is then optimistic.

The released code learns on ImageNet's validation images, which it then reports; take a split of
your own. Its MARS ratio is not cut at 1, so rows with small norms are pushed beyond theta1.
Source: Tian et al., "Trainable projected gradient method for robust fine-tuning", CVPR 2023,
arXiv 2303.10720.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from core.learning.combine.base import Combination, Loss, Material, Merged
from core.learning.merging import CannotCombine, check_states, merge_states, widened
from core.learning.methods.base import Knobs
from core.learning.projections.ftp import SMALLEST, mars_norms

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Norm = Literal["l2", "mars"]


class ProjectionHyperparameters(Knobs):
    """How the radii are learned."""

    learning_rate: float = Field(1e-2, gt=0, le=10, description="Adam's rate for the radii.")
    n_steps: int = Field(200, ge=1, le=100_000, description="Batches the radii are learned on.")
    batch_size: int = Field(64, ge=1, le=65536, description="Validation images per step.")
    norm: Norm = Field(
        "l2",
        description="l2 of a whole tensor, the paper's for transformers; mars by rows, its choice "
        "for ResNets.",
    )


class TPGM(Combination):
    name = "tpgm"
    title = "TPGM"
    description = "Learns for every layer how much of the fine-tuning to keep."
    citation = "Tian et al., Trainable Projected Gradient Method, CVPR 2023, arXiv 2303.10720"
    Hyperparameters = ProjectionHyperparameters
    n_inputs = (1, 1)

    hyperparameters: ProjectionHyperparameters

    def combine(self, material: Material) -> Merged:
        knobs, start = self.hyperparameters, material.theta0.tensors
        end = material.inputs[0].tensors
        loss = material.validation_loss(knobs.batch_size, knobs.n_steps)
        recipe = knobs.model_dump(exclude={"batch_size"})
        gammas = learn_gammas(start, end, loss, device=material.device, **recipe)
        kept = [
            float(_ratio(end[key] - start[key], gamma, knobs.norm).mean())
            for key, gamma in gammas.items()
        ]
        whole, half = (sum(ratio >= least for ratio in kept) for least in (0.999, 0.5))
        material.note(
            f"of {len(kept)} tensors that fine-tuning changed, {whole} keep all of the change, "
            f"{half - whole} half of it or more and {len(kept) - half} less",
        )
        metrics = {"mean_ratio": fmean(kept or [1.0])}
        return Merged(project(start, end, gammas, knobs.norm), metrics=metrics)


def project(
    theta0: Mapping[str, Tensor],
    theta1: Mapping[str, Tensor],
    gammas: Mapping[str, float],
    norm: Norm = "l2",
) -> dict[str, Tensor]:
    """theta1 within the radii around theta0, in float32 or wider; buffers are theta1's.

    `gammas` has every floating-point tensor that differs. Raises ValueError for one it lacks, a
    radius that is negative or NaN, and for states that `check_states` refuses.
    """

    def mix(key: str, tensors: list[Tensor]) -> Tensor:
        gamma = gammas.get(key, math.nan)
        if not gamma >= 0:
            raise ValueError(f"the radius of {key!r} is {gamma}; it must be 0 or more")
        start, end = tensors
        ratio = _ratio(end - start, gamma, norm)
        between = start + ratio * (end - start)
        # start + 1 (end - start) is not always end, nor is start + 0 start where start is -0.0.
        return between.where(ratio < 1, end).where(ratio > 0, start)

    return merge_states({"theta0": theta0, "theta1": theta1}, mix, buffers_from="theta1")


def learn_gammas(
    theta0: Mapping[str, Tensor],
    theta1: Mapping[str, Tensor],
    loss: Loss,
    *,
    n_steps: int = 200,
    learning_rate: float = 1e-2,
    norm: Norm = "l2",
    device: torch.device | None = None,
) -> dict[str, float]:
    """The radius of every floating-point tensor that differs, for `project`.

    `loss` is called once a step, with all weights by name (float32 or wider) and the step's
    number from 0; they lie on `device`, or where the states do. Raises `CannotCombine` when it is
    not finite, and for states that `check_states` refuses.
    """
    import torch

    check_states({"theta0": theta0, "theta1": theta1})
    fixed, ends = {}, {}
    for key, end in theta1.items():
        wide = widened(end).to(device) if end.is_floating_point() else end.to(device)
        if end.is_floating_point() and not end.equal(theta0[key]):
            ends[key] = (widened(theta0[key]).to(device), wide)
        else:
            fixed[key] = wide
    if not ends:
        return {}
    norms = [_norms(end - start, norm) for start, end in ends.values()]
    largest = torch.stack([each.max() for each in norms]).double()
    gammas = (torch.stack([each.min() for each in norms]).double() / 2).requires_grad_()
    optimiser = torch.optim.Adam([gammas], lr=learning_rate)
    for step in range(n_steps):
        weights = dict(fixed)
        for (key, (start, end)), each, gamma in zip(ends.items(), norms, gammas, strict=True):
            weights[key] = start + (gamma.to(each.dtype) / each).clamp(max=1.0) * (end - start)
        value = loss(weights, step)
        if not bool(value.isfinite()):
            raise CannotCombine(f"the loss of batch {step} is {value.item()}; no radius fits that")
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            gammas.copy_(gammas.clamp(min=SMALLEST).minimum(largest))
    return dict(zip(ends, gammas.tolist(), strict=True))


def _ratio(deviation: Tensor, gamma: float, norm: Norm) -> Tensor:
    return (gamma / _norms(deviation, norm)).clamp(max=1.0)


def _norms(deviation: Tensor, norm: Norm) -> Tensor:
    return mars_norms(deviation) if norm == "mars" else deviation.norm() + SMALLEST
