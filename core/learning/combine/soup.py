"""Model soups: the mean of models fine-tuned from one start with different recipes or seeds.

    uniform:  theta = mean_i theta_i
    greedy:   best first by accuracy on held-out ID images; a model stays in the soup iff the
              mean with it is at least as accurate there as without

over the whole state, the heads included, which must all have begun as the zero-shot head of the
same classes. Greedy is never worse on the held-out images than its best input, and may be that
input alone; uniform suffers from a single input that left the others' basin, as with very
different learning rates. Inputs of equal accuracy are tried in the order given.
Stored: one model. Held out in the paper: 2 % of the training images.
The released code of greedy soups keeps a model only when the accuracy rises; here as in the
paper's recipe 1 equal is enough, so of two equal models both go in.
Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", ICML 2022, arXiv 2203.05482.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from core.learning.combine.base import Combination, Material, Merged
from core.learning.merging import merge_states
from core.learning.methods.base import Knobs

if TYPE_CHECKING:
    from torch import Tensor


class SoupHyperparameters(Knobs):
    """Which of the inputs go in."""

    recipe: Literal["uniform", "greedy"] = Field(
        "greedy",
        description="uniform takes all inputs; greedy those that do not lower the accuracy on the "
        "validation split, best first.",
    )


class Soup(Combination):
    name = "soup"
    title = "Model soup"
    description = "Averages several fine-tuned models of one base into one, at one model's cost."
    citation = "Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482"
    Hyperparameters = SoupHyperparameters
    n_inputs = (2, None)

    hyperparameters: SoupHyperparameters

    @property
    def fits_validation(self) -> bool:
        return self.hyperparameters.recipe == "greedy"

    def combine(self, material: Material) -> Merged:
        states = [model.tensors for model in material.inputs]
        if self.hyperparameters.recipe == "uniform":
            soup, kept = uniform(states), list(range(len(states)))
        else:
            accuracies = [material.validation_accuracy(state) for state in states]
            soup, kept = greedy(states, accuracies, material.validation_accuracy)
        names = [material.inputs[index].name for index in kept]
        material.note(
            f"{len(names)} of {len(states)} models went into the soup: {', '.join(names)}",
            models=names,
        )
        return Merged(soup, metrics={"models_in_soup": len(names)})


def uniform(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of all, computed in float32 or wider; integer buffers are the first's.

    Raises ValueError for no models, and naming the first key that a model lacks, whose shape or
    dtype differs, or that is not finite.
    """
    return _mean({f"input {n}": state for n, state in enumerate(states, 1)})


def greedy(
    states: Sequence[Mapping[str, Tensor]],
    accuracies: Sequence[float],
    evaluate: Callable[[Mapping[str, Tensor]], float],
) -> tuple[dict[str, Tensor], list[int]]:
    """The greedy soup, and the indices of the inputs in it, in the order they went in.

    `accuracies` are the inputs' own on the held-out images, `evaluate` measures a mean on the
    same; it is called once for every input but the best. Raises ValueError as `uniform` does and
    for accuracies that are not one finite number an input.
    """
    if len(accuracies) != len(states) or not all(map(math.isfinite, accuracies)):
        raise ValueError(
            f"{len(states)} models have accuracies {list(accuracies)}; give one number to each"
        )
    named = {index: (f"input {index + 1}", state) for index, state in enumerate(states)}
    order = sorted(named, key=lambda index: -accuracies[index])
    kept, soup = order[:1], _mean(dict(named[index] for index in order[:1]))
    best = accuracies[kept[0]] if kept else math.nan
    for index in order[1:]:
        candidate = _mean(dict(named[member] for member in [*kept, index]))
        accuracy = evaluate(candidate)
        if accuracy >= best:
            kept, soup, best = [*kept, index], candidate, accuracy
    return soup, kept


def _mean(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    def mix(key: str, tensors: list[Tensor]) -> Tensor:
        total = tensors[0]
        for tensor in tensors[1:]:
            total = total + tensor
        return total / len(tensors)

    return merge_states(states, mix, buffers_from=next(iter(states), ""))
