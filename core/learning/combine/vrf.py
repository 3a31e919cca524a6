"""VRF: trusts fine-tuning near the images that zero-shot failed on, and zero-shot elsewhere.

    V        = normalised fine-tuned features of the training images, not augmented, that the
               fine-tuned model answers right and the zero-shot model wrong
    d(x)     = squared L2 distance of x's feature to its k-th nearest in V,
               k = max(1, floor(|V| / 1000))
    omega(x) = sigmoid( -(d(x) - a) / b )
    p(y | x) = omega softmax(z_ft / T_ft) + (1 - omega) softmax(z_zs / T_zs)

Nothing is merged: both models run for every image. Stored: both, and `vrf.safetensors` (V in
float32, k, a, b, T_zs, T_ft, the metric's name "sq_l2"). Each T makes the mean confidence on the
ID validation images equal the accuracy there. a and b are then the pair with the highest accuracy
on these, the lowest NLL among equals, of a in 0.1, 0.2 .. 2.0 and b in 0.1, 0.2 .. 1.0; the
paper ends at a 1.5 and b 0.5 or 0.6 on ImageNet, 0.3 and 0.3 on CIFAR. An empty V gives omega 1.

The paper writes of the plain distance; its code has the squared one, to which its a and b belong.
The code takes k from |V| / N instead of |V|, which only agrees for ImageNet's N, and fits T on
the split that it reports.
Source: Zhu, Cui and Zhang, "Robust fine-tuning of zero-shot models via variance reduction",
NeurIPS 2024, arXiv 2411.06966.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from core.learning.combine.base import Combination, Material, Mixed
from core.learning.methods.base import Knobs

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.mixtures import VrfMixture

A_GRID = tuple(step / 10 for step in range(1, 21))
B_GRID = tuple(step / 10 for step in range(1, 11))
ROWS = 512  # images mixed at a time: a float64 copy stays at 4 MB for 1000 classes


class VrfHyperparameters(Knobs):
    """The weight's shape, where it is not to be chosen."""

    a: float | None = Field(
        None,
        ge=0,
        le=4,
        description="Squared distance at which both models count the same; chosen on the "
        "validation split when absent.",
    )
    b: float | None = Field(
        None,
        gt=0,
        le=4,
        description="How slowly the weight falls with distance; chosen on the validation split "
        "when absent.",
    )


class VRF(Combination):
    name = "vrf"
    title = "VRF"
    description = "Mixes both models' answers image by image, for the cost of running both."
    citation = "Zhu, Cui and Zhang, Variance Reduction Fine-tuning, NeurIPS 2024, arXiv 2411.06966"
    Hyperparameters = VrfHyperparameters
    n_inputs = (1, 1)
    output = "mixture"

    hyperparameters: VrfHyperparameters

    def combine(self, material: Material) -> Mixed:
        zero_shot, (tuned,) = material.theta0, material.inputs
        seen_zs, seen_ft = map(material.on_training_images, (zero_shot, tuned))
        bank_VD = zero_shot_failures(
            seen_ft.features_ND, seen_ft.predicted_N, seen_zs.predicted_N, seen_ft.labels_N
        )
        if len(bank_VD) == 0:
            material.warn(
                "fine-tuning corrects no training image that zero-shot answers wrong, so VRF has "
                "no bank and answers as the fine-tuned model does; take wise_ft instead"
            )
        held_zs, held_ft = map(material.on_validation, (zero_shot, tuned))
        seen = (held_ft.features_ND, held_ft.logits_NK, held_zs.logits_NK, held_ft.labels_N)
        mixture = fit_vrf(bank_VD, *seen, **self.hyperparameters.model_dump())
        material.note(
            f"the bank has {len(bank_VD)} of {len(seen_ft.labels_N)} training images; "
            + ", ".join(f"{name} is {value:.3g}" for name, value in mixture.constants().items())
        )
        metrics = {"bank": len(bank_VD), **mixture.constants()}
        return Mixed(mixture, {"zero_shot": zero_shot, "fine_tuned": tuned}, metrics)


def zero_shot_failures(
    features_ft_ND: Tensor, predicted_ft_N: Tensor, predicted_zs_N: Tensor, labels_N: Tensor
) -> Tensor:
    """V (V, D) float32: features of images that only the fine-tuned model answers right.

    Features are L2-normalised and of training images under the validation transform.
    """
    failed_N = (predicted_ft_N == labels_N) & (predicted_zs_N != labels_N)
    return features_ft_ND[failed_N].float()


def fit_vrf(
    bank_VD: Tensor,
    features_ft_ND: Tensor,
    logits_ft_NK: Tensor,
    logits_zs_NK: Tensor,
    labels_N: Tensor,
    *,
    a: float | None = None,
    b: float | None = None,
) -> VrfMixture:
    """The mixture around `bank_VD`, its constants fitted on the ID validation images.

    Columns at minus infinity, of classes the validation split does not hold, take no part. Raises
    ValueError for no images or a label without a finite logit.
    """
    from core.learning.calibration import confidence_matching_temperature
    from core.learning.mixtures import VrfMixture, nearest_counted, squared_distance_to_kth

    k = nearest_counted(len(bank_VD))
    t_zs = confidence_matching_temperature(logits_zs_NK, labels_N)
    t_ft = confidence_matching_temperature(logits_ft_NK, labels_N)
    pairs = [
        (each_a, each_b)
        for each_a in (A_GRID if a is None else (a,))
        for each_b in (B_GRID if b is None else (b,))
    ]
    if len(bank_VD) == 0:
        return VrfMixture(bank_VD.float(), k, *pairs[0], t_zs, t_ft)
    distances_N = squared_distance_to_kth(features_ft_ND, bank_VD, k)
    scores = _grid_scores(pairs, distances_N, logits_ft_NK / t_ft, logits_zs_NK / t_zs, labels_N)
    best = max(range(len(pairs)), key=scores.__getitem__)  # the first of equals
    return VrfMixture(bank_VD.float(), k, *pairs[best], t_zs, t_ft)


def _grid_scores(
    pairs: list[tuple[float, float]],
    distances_N: Tensor,
    scaled_ft_NK: Tensor,
    scaled_zs_NK: Tensor,
    labels_N: Tensor,
) -> list[tuple[int, float]]:
    """For each (a, b) the number of right answers and the summed log-likelihood."""
    import torch

    columns = (distances_N, scaled_ft_NK, scaled_zs_NK, labels_N)
    rows = [torch.split(column, ROWS) for column in columns]
    right, likelihood = [0] * len(pairs), [0.0] * len(pairs)
    for distances_R, ft_RK, zs_RK, labels_R in zip(*rows, strict=True):
        tuned_RK, zero_shot_RK = ft_RK.double().softmax(dim=-1), zs_RK.double().softmax(dim=-1)
        for number, (a, b) in enumerate(pairs):
            omega_R1 = torch.sigmoid(-(distances_R.double() - a) / b)[:, None]
            mixed_RK = omega_R1 * tuned_RK + (1.0 - omega_R1) * zero_shot_RK
            right[number] += int((mixed_RK.argmax(dim=-1) == labels_R).sum())
            true_R = mixed_RK.gather(1, labels_R[:, None]).clamp(min=1e-300)
            likelihood[number] += float(true_R.log().sum())
    return list(zip(right, likelihood, strict=True))
