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

from core.learning.methods.base import Knobs, Method

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Head


class Temperature(Method):
    name = "temperature"
    title = "Temperature scaling"
    kind = "combination"
    description = "Calibrates a finished model's probabilities without changing its answers."
    citation = "Guo et al., On Calibration of Modern Neural Networks, ICML 2017"
    Hyperparameters = Knobs
    n_inputs = (1, 1)


def calibrate(head: Head, logits_NK: Tensor, labels_N: Tensor) -> tuple[Head, float]:
    """The head with its scale divided by T, and T.

    Logits are the model's own on ID validation images, scale included; columns at minus
    infinity take no part. Raises ValueError for no images or a label without a finite logit.
    """
    from core.learning.calibration import fit_temperature

    temperature = fit_temperature(logits_NK, labels_N)
    return replace(head, scale=head.scale / temperature), temperature
