"""The diagonal of a classifier's Fisher information: how much its answers hang on each weight.

    F_i = mean_x (d log p(y_x | x; theta) / d theta_i)^2,   y_x drawn from p(. | x; theta)

with one image's gradient squared at a time, and one label drawn for each image. The released
code of WiSE-FT does this too; where its label smoothing is on, it smooths this gradient as well,
which is then of no likelihood, so that is left out.
Source: Matena and Raffel, "Merging models with Fisher-weighted averaging", NeurIPS 2022, arXiv
2111.09832, section 3; the option `--fisher` of WiSE-FT's code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from core.learning.merging import widened
from core.learning.randomness import generator

LogProbabilities = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""(weights by name, images (1, ...)) to log p (1, K), differentiable in the weights."""


def diagonal_fisher(
    log_probabilities: LogProbabilities,
    weights: Mapping[str, Tensor],
    batches: Iterable[Tensor],
    seed: int,
) -> dict[str, Tensor]:
    """The diagonal by name, shaped like each floating-point tensor of `weights`, float32 or wider.

    `batches` are images (B, ...), each image taken by itself: how they are cut changes nothing.
    The label of image i is a function of (seed, i) and the model's answer. A weight the answer
    does not hang on has zeros. Raises ValueError for no images or an answer that is not finite.
    """
    leaves = {
        name: widened(tensor).detach().requires_grad_()
        for name, tensor in weights.items()
        if tensor.is_floating_point()
    }
    sums = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    number = 0
    for images in batches:
        for image in torch.split(images, 1):
            answer_K = log_probabilities({**weights, **leaves}, image)[0]
            label = _draw(answer_K.detach(), seed, number)
            gradients = torch.autograd.grad(
                answer_K[label], list(leaves.values()), allow_unused=True
            )
            for name, gradient in zip(leaves, gradients, strict=True):
                if gradient is not None:
                    sums[name] += gradient.square()
            number += 1
    if number == 0:
        raise ValueError("the Fisher information needs images; there are none")
    return {name: total / number for name, total in sums.items()}


def _draw(log_probabilities_K: Tensor, seed: int, number: int) -> int:
    """A class drawn with the answer's probabilities."""
    cumulative_K = log_probabilities_K.cpu().double().exp().cumsum(dim=0)
    total = float(cumulative_K[-1])
    if not abs(total - 1.0) < 1e-2:
        raise ValueError(
            f"the probabilities of image {number} sum to {total:g}, not to 1; the callable must "
            "return log-probabilities of a model whose weights are finite"
        )
    draw = generator(seed, "fisher_labels", number).random() * total
    return min(
        int(torch.searchsorted(cumulative_K, draw, right=True)), len(log_probabilities_K) - 1
    )
