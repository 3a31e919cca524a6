"""Output-space ensembles: several models answer, and their answers are averaged.

    probabilities:  p(y | x) = sum_i w_i softmax(z_i(x))
    logits:         p(y | x) = softmax( sum_i w_i z_i(x) )

Nothing is merged: every member runs for every image, so k members cost k times as much as a soup
of the same; unlike a soup's they need not share a basin of the loss. Weights sum to 1 and are
equal unless given. Where a split holds only some classes, the others are masked before the
softmax. Over-confident members drown the others out: calibrate them first (`temperature`).
Stored: the members and `ensemble.json` (their folders, w, the space).
`core.learning.mixtures.OutputEnsemble` answers.
Source: Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty
estimation using deep ensembles", NeurIPS 2017, section 2.4 for probabilities; averaged logits as
the ensembles that WiSE-FT and model soups are compared with there.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.learning.combine.base import Combination, Material, Mixed
from core.learning.methods.base import Knobs

Weight = Annotated[float, Field(ge=0, le=1e6)]


class EnsembleHyperparameters(Knobs):
    """How the answers are averaged."""

    weights: list[Weight] | None = Field(
        None,
        min_length=2,
        description="One weight for each input, in their order; only their ratios matter. Equal "
        "when absent.",
    )
    space: Literal["probabilities", "logits"] = Field(
        "probabilities", description="What is averaged: the probabilities, or the logits."
    )

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.weights is not None and not any(self.weights):
            raise ValueError("weights are all 0; give at least one input a positive weight")
        return self


class Ensemble(Combination):
    name = "ensemble"
    title = "Output ensemble"
    description = "Averages several models' answers, for the cost of running them all."
    citation = "Lakshminarayanan, Pritzel and Blundell, Deep Ensembles, NeurIPS 2017"
    Hyperparameters = EnsembleHyperparameters
    n_inputs = (2, None)
    output = "mixture"
    fits_validation = False

    hyperparameters: EnsembleHyperparameters

    def misfit_inputs(self, n_inputs: int) -> str | None:
        weights = self.hyperparameters.weights
        if weights is None or len(weights) == n_inputs:
            return None
        return f"weights has {len(weights)} numbers for {n_inputs} models; give one to each"

    def combine(self, material: Material) -> Mixed:
        from core.learning.mixtures import OutputEnsemble

        models = material.inputs
        folders = tuple(f"member_{number}" for number in range(1, len(models) + 1))
        weights = self.hyperparameters.weights or [1.0] * len(models)
        ensemble = OutputEnsemble(folders, tuple(weights), self.hyperparameters.space)
        shares = {m.name: share for m, share in zip(models, ensemble.weights, strict=True)}
        listed = ", ".join(f"{name} ({share:.3g})" for name, share in shares.items())
        material.note(f"the mean of the {ensemble.space} of {listed}", weights=shares)
        return Mixed(ensemble, dict(zip(folders, models, strict=True)))
