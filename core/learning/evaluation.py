"""Scores of a model on a split, and one row per image behind them.

Reported numbers are float32 on open_clip's own validation transform. A split that holds only
some of the classes is scored among those (ImageNet-A and -R style): other columns are masked
before the softmax, and so are they in every metric below. Nothing is fitted to the split:
the temperature comes from held-out ID images (`core.learning.calibration`).

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.learning.memory import AtOnce
from core.learning.metrics import (
    Metric,
    expected_calibration_error,
    macro_f1,
    mean,
    mean_per_class_recall,
    proportion,
    worst_share,
)
from core.learning.models import Clip
from core.learning.pixels import EvaluationPixels

TOP = 5  # labels kept per image
BATCH_SIZE = 250  # images a forward pass, if they fit; larger gains nothing on a CPU
ROWS = 512  # images softmaxed at a time: a float64 copy stays at 4 MB for 1000 classes


@dataclass(frozen=True)
class Scores:
    """A model on a split: the metrics and what each image was answered."""

    metrics: list[Metric]
    images: pa.Table

    def __getitem__(self, name: str) -> float:
        return next(metric.value for metric in self.metrics if metric.name == name)


def split_features(clip: Clip, tower: nn.Module, pixels: EvaluationPixels) -> Tensor:
    """L2-normalised features (N, D) float32 of a split, on the CPU.

    `tower` is the image tower to use: the student's, theta0's or an interpolation of the two. Where
    memory runs out fewer images pass through it at once.
    """

    def encode(images: Tensor) -> Tensor:
        return functional.normalize(tower(images.to(clip.device)).float(), dim=-1).cpu()

    at_once = AtOnce(BATCH_SIZE)
    with torch.inference_mode():
        batches = pixels.batches(clip.preprocess_config, BATCH_SIZE)
        return torch.cat([at_once.encode(encode, images) for images, _ in batches])


def head_logits(features_ND: Tensor, head_DK: Tensor, scale: float) -> Tensor:
    """(N, K) logits, scale * features @ head."""
    return scale * features_ND @ head_DK.detach().cpu().float()


def score(
    logits_NK: Tensor,
    labels_N: Tensor,
    keys: Sequence[str],
    subset: Sequence[int] | None,
    *,
    temperature: float | None = None,
    groups: Sequence[str] | None = None,
) -> Scores:
    """Every metric of a model on a split, in float64, and the table of images.

    `subset` lists the columns the split may hold; None means all. `temperature` divides the
    logits of `nll_calibrated` and `ece_calibrated` and of nothing else; without it these two are
    left out. `groups` names each image's group for `worst_group`. `top5` needs six candidate
    classes. Top-1 and top-5 have exact intervals, NLL and Brier normal ones, the others none.

    Raises ValueError for a split without images, for a label outside the candidate classes, for
    lengths that differ and for a temperature that is not a positive number.
    Source of the Brier score (sum over classes, 0 to 2): Brier, "Verification of forecasts
    expressed in terms of probability", Monthly Weather Review 1950.
    """
    columns = list(range(logits_NK.shape[1])) if subset is None else list(subset)
    _check(labels_N, keys, columns, temperature, groups)
    answers = _answers(logits_NK, labels_N, subset, 1.0)
    n, labels, predicted = len(labels_N), labels_N.numpy(), answers.top_labels_NT[:, 0].numpy()
    correct = predicted == labels
    metrics = [proportion("accuracy", int(correct.sum()), n)]
    if len(columns) > TOP:
        among_top = (answers.top_labels_NT == labels_N[:, None]).any(dim=-1)
        metrics.append(proportion("top5", int(among_top.sum()), n))
    metrics += [
        Metric("mean_per_class_recall", mean_per_class_recall(labels, predicted), None, None, n),
        Metric("macro_f1", macro_f1(labels, predicted), None, None, n),
        worst_share("worst_class", labels, correct),
    ]
    if groups is not None:
        metrics.append(worst_share("worst_group", groups, correct))
    metrics += [
        mean("nll", answers.nll_N.numpy()),
        mean("brier", answers.brier_N.numpy()),
        _ece("ece", answers, correct),
    ]
    if temperature is not None:
        calibrated = _answers(logits_NK, labels_N, subset, temperature)
        metrics += [
            mean("nll_calibrated", calibrated.nll_N.numpy()),
            _ece("ece_calibrated", calibrated, correct),
        ]
    return Scores(metrics, _image_table(answers, labels, keys, groups))


def accuracy(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Top-1 accuracy alone, for choosing a checkpoint."""
    return float((logits_NK.argmax(dim=-1) == labels_N).double().mean())


def mask_columns(logits_NK: Tensor, subset: Sequence[int] | None) -> Tensor:
    """Logits with every column outside `subset` at minus infinity."""
    if subset is None or len(subset) == logits_NK.shape[1]:
        return logits_NK
    masked = torch.full_like(logits_NK, -torch.inf)
    columns = torch.as_tensor(list(subset))
    masked[:, columns] = logits_NK[:, columns]
    return masked


def energy(logits_NK: Tensor) -> Tensor:
    """-log sum exp of the logits (N,): low where the model knows the image.

    Source: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020, temperature 1.
    """
    return -logits_NK.logsumexp(dim=-1)


def _check(
    labels_N: Tensor,
    keys: Sequence[str],
    columns: Sequence[int],
    temperature: float | None,
    groups: Sequence[str] | None,
) -> None:
    if len(labels_N) == 0:
        raise ValueError("the split holds no image; leave it out of the evaluation")
    for what, found in (("keys", keys), ("groups", groups)):
        if found is not None and len(found) != len(labels_N):
            raise ValueError(f"{len(found)} {what} for {len(labels_N)} images; give one to each")
    if temperature is not None and not 0 < temperature < np.inf:
        raise ValueError(f"the temperature must be a positive number, not {temperature}")
    strange = labels_N[~torch.isin(labels_N, torch.tensor(columns))]
    if len(strange):
        raise ValueError(
            f"{len(strange)} of {len(labels_N)} labels are not among the {len(columns)} classes "
            f"the split is scored among, the first is {int(strange[0])}; add them to its subset"
        )


class _Answers(NamedTuple):
    """What each image was answered; the T most probable labels come best first."""

    top_labels_NT: Tensor
    top_probabilities_NT: Tensor
    true_probability_N: Tensor
    nll_N: Tensor
    brier_N: Tensor
    energy_N: Tensor


def _answers(
    logits_NK: Tensor, labels_N: Tensor, subset: Sequence[int] | None, temperature: float
) -> _Answers:
    parts = []
    for logits_RK, labels_R in zip(
        torch.split(logits_NK, ROWS), torch.split(labels_N, ROWS), strict=True
    ):
        scaled_RK = mask_columns(logits_RK.double(), subset) / temperature
        log_probabilities_RK = scaled_RK.log_softmax(dim=-1)
        probabilities_RK = log_probabilities_RK.exp()
        # Ranked by logit: probabilities far from the top are all zero.
        top_labels_RT = scaled_RK.topk(min(TOP, scaled_RK.shape[1]), dim=-1).indices
        true_R1 = probabilities_RK.gather(1, labels_R[:, None])
        residual_RK = probabilities_RK.scatter_add(1, labels_R[:, None], -torch.ones_like(true_R1))
        parts.append(
            _Answers(
                top_labels_RT,
                probabilities_RK.gather(1, top_labels_RT),
                true_R1[:, 0],
                -log_probabilities_RK.gather(1, labels_R[:, None])[:, 0],
                residual_RK.square().sum(dim=-1),
                energy(scaled_RK),
            )
        )
    return _Answers(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _ece(name: str, answers: _Answers, correct_N: np.ndarray) -> Metric:
    confidence = answers.top_probabilities_NT[:, 0].numpy()
    error = expected_calibration_error(confidence, correct_N)
    return Metric(name, error, None, None, len(correct_N))


def _image_table(
    answers: _Answers, labels_N: np.ndarray, keys: Sequence[str], groups: Sequence[str] | None
) -> pa.Table:
    columns = {
        "key": pa.array(list(keys), pa.string()),
        "label": pa.array(labels_N, pa.int32()),
        "top_labels": pa.array(answers.top_labels_NT.tolist(), pa.list_(pa.int32())),
        "top_probabilities": pa.array(
            answers.top_probabilities_NT.tolist(), pa.list_(pa.float32())
        ),
        "true_probability": pa.array(answers.true_probability_N.numpy(), pa.float32()),
        "energy": pa.array(answers.energy_N.numpy(), pa.float32()),
    }
    if groups is not None:
        columns["group"] = pa.array(list(groups), pa.string())
    return pa.table(columns)
