"""Model Stock: towards the centre of where fine-tuning ends, judged by how models disagree.

    theta = t mean_i theta_i + (1 - t) theta0,   t = k c / ((k - 1) c + 1)

for each tensor by itself, k the number of models and c the mean cosine, over their pairs, of the
deviations theta_i - theta0. Models that differ by their draws only (same recipe, other seeds) lie
on a sphere around a centre that is better than each; t is where the line from theta0 through
their mean comes nearest to it. Two models are enough; the head is a tensor like the others.
Stored: one model. No images are used and nothing is tuned.

For more than two models the paper has one angle for all pairs; the mean cosine is the common
reading. c below 0, where t would lead away from every model and at c = -1 / (k - 1) to infinity,
counts as 0: that tensor stays theta0's. So does one that a model of two did not change. The
authors released no code.
Source: Jang, Yun and Han, "Model Stock: all we need is just a few fine-tuned models", ECCV 2024,
arXiv 2403.19522, equations 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from core.learning.combine.base import Combination, Material, Merged
from core.learning.merging import merge_states
from core.learning.methods.base import Knobs

if TYPE_CHECKING:
    from torch import Tensor


class ModelStock(Combination):
    name = "model_stock"
    title = "Model Stock"
    description = "Merges two or more seeds of one recipe with their parent, layer by layer."
    citation = "Jang, Yun and Han, Model Stock, ECCV 2024, arXiv 2403.19522"
    Hyperparameters = Knobs
    n_inputs = (2, None)
    fits_validation = False

    def combine(self, material: Material) -> Merged:
        states = [model.tensors for model in material.inputs]
        merged, ratios = _merge(material.theta0.tensors, states)
        away = [ratio for ratio in ratios.values() if ratio > 0]
        middle = median(away or [0.0])
        stay = len(ratios) - len(away)
        material.note(
            f"of {len(ratios)} tensors that fine-tuning changed, {len(away)} leave theta0, by t "
            f"{middle:.3g} in the median, and {stay} stay, because the models do not agree there",
            median_t=middle,
            changed=len(ratios),
            stay=stay,
        )
        return Merged(merged, metrics={"median_t": middle})


def model_stock(
    theta0: Mapping[str, Tensor], states: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The merged model, in float32 or wider (cosines in float64); buffers are the first input's.

    Raises ValueError for fewer than two models, and naming the first key that a model lacks,
    whose shape or dtype differs, or that is not finite.
    """
    return _merge(theta0, states)[0]


def _merge(
    theta0: Mapping[str, Tensor], states: Sequence[Mapping[str, Tensor]]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The merged model, and t of every tensor that is not the same in all."""
    if len(states) < 2:
        raise ValueError(
            f"Model Stock needs at least 2 models, to see how they disagree; there are "
            f"{len(states)}"
        )

    ratios: dict[str, float] = {}

    def mix(key: str, tensors: list[Tensor]) -> Tensor:
        start, *ends = tensors
        total = ends[0]
        for end in ends[1:]:
            total = total + end
        t = ratios[key] = _ratio(_mean_cosine(end - start for end in ends), len(ends))
        return t * (total / len(ends)) + (1.0 - t) * start

    inputs = {f"input {n}": state for n, state in enumerate(states, 1)}
    return merge_states({"theta0": theta0, **inputs}, mix, buffers_from="input 1"), ratios


def _ratio(cosine: float, n_models: int) -> float:
    return n_models * cosine / ((n_models - 1) * cosine + 1)


def _mean_cosine(deviations: Iterable[Tensor]) -> float:
    """Mean over pairs, in [0, 1]; a pair with a deviation of zero counts as 0.

    With u_i the deviations' directions, the pairs' sum is (|sum_i u_i|^2 - sum_i |u_i|^2) / 2:
    one pass, whatever the number of models.
    """
    units = map(_direction, deviations)
    total = next(units)
    own, n_models = float(total.square().sum()), 1
    for unit in units:
        total = total + unit
        own, n_models = own + float(unit.square().sum()), n_models + 1
    mean = (float(total.square().sum()) - own) / (n_models * (n_models - 1))
    return min(1.0, max(0.0, mean))


def _direction(deviation: Tensor) -> Tensor:
    wide = deviation.double()
    norm = wide.norm()
    return wide / norm if norm > 0 else wide
