"""Temperature scaling: makes a model as confident as it is right, and changes no prediction.

    p(y | x) = softmax( z(x) / T ),   T = argmin NLL on the ID validation images

T > 0 keeps every order among the logits: the answers and all accuracies stay, only NLL,
Brier score, calibration error and energies change. One number, fitted without regard to shifted
splits, so calibration there is better than before but not good.
Stored: the input's weights as they are, and its head with scale / T in place of scale, so that
softmax(scale * features @ W) is calibrated wherever the model is used. The model's own
logit_scale stays.
Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.learning.combine.base import Combination, Material, Merged
from core.learning.methods.base import Knobs

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Head


class Temperature(Combination):
    name = "temperature"
    title = "Temperature scaling"
    description = "Calibrates a finished model's probabilities without changing its answers."
    citation = "Guo et al., On Calibration of Modern Neural Networks, ICML 2017"
    Hyperparameters = Knobs
    n_inputs = (1, 1)

    def combine(self, material: Material) -> Merged:
        from core.learning.calibration import is_at_bound

        (model,) = material.inputs
        answers = material.on_validation(model)
        head, temperature = calibrate(model.head, answers.logits_NK, answers.labels_N)
        n_images = len(answers.labels_N)
        material.note(
            f"T is {temperature:.4g}, fitted on {n_images} ID validation images",
            temperature=temperature,
            images=n_images,
        )
        if is_at_bound(temperature):
            material.warn(
                f"T {temperature:g} is the end of the range it is looked for in: the {n_images} "
                "validation images are too few or too easy to calibrate on",
                temperature=temperature,
            )
        return Merged(model.tensors, head, metrics={"temperature": temperature})


def calibrate(head: Head, logits_NK: Tensor, labels_N: Tensor) -> tuple[Head, float]:
    """The head with its scale divided by T, and T.

    `temperature` of the head is what its scale has been divided by in all.

    Logits are the model's own on ID validation images, scale included; columns at minus
    infinity take no part. Raises ValueError for no images or a label without a finite logit.
    """
    from core.learning.calibration import fit_temperature

    temperature = fit_temperature(logits_NK, labels_N)
    calibrated = replace(
        head, scale=head.scale / temperature, temperature=head.temperature * temperature
    )
    return calibrated, temperature
