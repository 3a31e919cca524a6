"""Several models' answers to the same images: who answers for which classes, and what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from api.serving.loaded_model import Classifier, Loaded, LoadedMixture, ranked
from core.learning.evaluation import head_logits
from core.learning.models import Head
from core.learning.statistics import Shift
from core.prediction import Answer, Compared, ShiftSeen


@dataclass(frozen=True)
class OwnClasses:
    """The classes that a model was trained on, for others to answer for."""

    labels: list[str]
    templates: list[str]
    theta0: str | None  # which model was calibrated for them as theta0,
    zero_shot_temperature: float | None  # and how


@dataclass(frozen=True)
class Contender:
    """One of the models and what it answers with."""

    model: Loaded
    classifier: Classifier
    temperature: float | None  # None where none was fitted for these labels


def own_classes(compared: Sequence[Compared], models: Sequence[Loaded]) -> OwnClasses | None:
    """Those of the first model that has any."""
    for named, model in zip(compared, models, strict=True):
        head = _head(model)
        if head is not None:
            zero_shot = model.calibration.zero_shot_temperature
            return OwnClasses(head.classes, head.templates, named.theta0, zero_shot)
    return None


def distinct_transforms(models: Sequence[Loaded]) -> tuple[list[Loaded], list[int]]:
    """One model for each way that images are prepared, and for every model the place of its."""
    keys = [repr(model.preprocessing) for model in models]
    distinct = list(dict.fromkeys(keys))
    return [models[keys.index(key)] for key in distinct], [distinct.index(key) for key in keys]


@torch.inference_mode()
def answers(contender: Contender, features: list[Tensor], top_k: int | None) -> list[Answer]:
    """The answer to each image, of its features as `Servable.features` gives them."""
    model, stacked = contender.model, torch.stack(features)
    probabilities_BK = contender.classifier.scores(stacked, "softmax")
    confidences = _confidences(contender, stacked, probabilities_BK)
    shift = _shift(model, stacked)
    weights = _member_weights(model, stacked)
    return [
        Answer(
            scores=scores,
            confidence=None if confidences is None else confidences[place],
            weights=None if weights is None else weights[place],
            shift=shift and _seen(shift, place),
        )
        for place, scores in enumerate(ranked(contender.classifier.labels, probabilities_BK, top_k))
    ]


def _head(model: Loaded) -> Head | None:
    return model.classifier.heads[0] if isinstance(model, LoadedMixture) else model.head


def _confidences(
    contender: Contender, stacked: Tensor, probabilities_BK: Tensor
) -> list[float] | None:
    """The largest probability of each image after calibration."""
    if contender.temperature is None:
        return None
    if isinstance(contender.model, LoadedMixture):  # fitted to the logarithm of its answers
        logits_BK = probabilities_BK.double().log()
    else:
        logits_BK = contender.classifier.scores(stacked, "none").double()
    found: list[float] = (logits_BK / contender.temperature).softmax(dim=-1).amax(dim=-1).tolist()
    return found


def _shift(model: Loaded, stacked: Tensor) -> Shift | None:
    """Of a mixture: as the last of its members sees it that remembers a training domain."""
    if isinstance(model, LoadedMixture):
        for place in reversed(range(len(model.members))):
            found = _shift(model.members[place], stacked[:, place])
            if found is not None:
                return found
        return None
    if model.domain is None or model.head is None:
        return None
    head = model.head
    return model.domain.shift(stacked, head_logits(stacked, head.weight, head.scale))


def _member_weights(model: Loaded, stacked: Tensor) -> list[dict[str, float]] | None:
    if not isinstance(model, LoadedMixture):
        return None
    mixture = model.classifier.mixture
    rows: list[list[float]] = mixture.weights_of(list(stacked.unbind(dim=1))).tolist()
    return [dict(zip(mixture.members, row, strict=True)) for row in rows]


def _seen(shift: Shift, place: int) -> ShiftSeen:
    return ShiftSeen(
        distance=float(shift.distance[place]),
        energy=float(shift.energy[place]),
        p=float(shift.p[place]),
    )
