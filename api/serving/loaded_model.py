"""One model in memory: preprocessing, image features, scores. Blocking: call it in a thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image
from torch import Tensor

from api.serving.precision import is_small, load_for_serving, tower_features
from core.errors import StorageFault
from core.learning.calibration import Calibration
from core.learning.evaluation import head_logits
from core.learning.mixtures import Mixture, load_mixture
from core.learning.models import (
    CLASSES_FILE,
    Clip,
    Head,
    ModelFault,
    load_head,
)
from core.learning.pixels import image_stages, normalise
from core.learning.statistics import TrainingDomain
from core.learning.zero_shot import build_head
from core.model_cache import fetch_model
from core.objects import ObjectStore
from core.prediction import Function, Score, StoredWeights
from core.settings import ServingPrecision

TEXTS = 256  # encoded at once: bounds memory at any number of them


class Classifier(Protocol):
    """Labels, and what turns the features of images into scores of these."""

    @property
    def labels(self) -> list[str]: ...

    @property
    def bytes(self) -> int: ...

    def scores(self, features: Tensor, function: Function) -> Tensor:
        """Scores (B, K) of B images, whose features are stacked."""


@dataclass(frozen=True)
class HeadClassifier:
    """One head: logits are scale * features @ weight."""

    labels: list[str]
    weight_DK: Tensor  # float32, on the CPU
    scale: float

    @property
    def bytes(self) -> int:
        return self.weight_DK.nbytes

    def scores(self, features: Tensor, function: Function) -> Tensor:
        logits_BK = self.scale * features @ self.weight_DK
        if function == "softmax":
            return logits_BK.softmax(dim=-1)
        return logits_BK.sigmoid() if function == "sigmoid" else logits_BK


@dataclass(frozen=True)
class MixedClassifier:
    """The heads of models that answer together, and how: always with probabilities."""

    labels: list[str]
    mixture: Mixture
    heads: list[Head]

    @property
    def bytes(self) -> int:
        return self.mixture.bytes + sum(head.weight.nbytes for head in self.heads)

    def scores(self, features: Tensor, function: Function) -> Tensor:
        assert function == "softmax"  # the API refuses the others
        by_member = list(features.unbind(dim=1))
        logits = [
            head_logits(features_BD, head.weight, head.scale)
            for features_BD, head in zip(by_member, self.heads, strict=True)
        ]
        return self.mixture.answer(by_member, logits)


class Servable(Protocol):
    """What the engine keeps in memory and asks."""

    @property
    def bytes(self) -> int: ...

    def preprocess(self, image: Image.Image) -> Tensor:
        """The validation transform up to where pixels become numbers: (H, W, C) uint8."""

    @property
    def preprocessing(self) -> PreprocessCfg:
        """What the transform is made of: equal ones give equal images."""

    @property
    def is_small(self) -> bool:
        """Whether it runs on a CPU, and calling its operations takes as long as computing them."""

    def features(self, images: list[Tensor]) -> list[Tensor]:
        """What `Classifier.scores` takes of each image, float32 on the CPU."""


@dataclass(eq=False)
class LoadedModel:
    """A model on its device, with its trained head where it has one."""

    clip: Clip
    head: Head | None
    domain: TrainingDomain | None
    calibration: Calibration
    asked: int = 0  # as `api.serving.graphs` counts
    graph: Callable[[Tensor], Tensor] | None = None  # of uint8 (B, S, S, 3), then asked instead

    @property
    def bytes(self) -> int:
        if not self.is_small:
            return self.bytes_without_graph
        tower: int = sum(weight.nbytes for weight in self.clip.visual.state_dict().values())
        return self.bytes_without_graph + tower

    @property
    def bytes_without_graph(self) -> int:
        weights: int = sum(tensor.nbytes for tensor in self.clip.model.state_dict().values())
        return weights + (0 if self.domain is None else self.domain.bytes)

    @cached_property
    def is_small(self) -> bool:
        return self.clip.device.type == "cpu" and is_small(self.clip.visual)

    def preprocess(self, image: Image.Image) -> Tensor:
        for stage in self._stages:
            image = stage(image)
        return torch.from_numpy(np.array(image))

    @property
    def preprocessing(self) -> PreprocessCfg:
        return self.clip.preprocess_config

    @cached_property
    def _stages(self) -> list[Callable[[Image.Image], Image.Image]]:
        return image_stages(self.preprocessing)

    def features(self, images: list[Tensor]) -> list[Tensor]:
        """L2-normalised features, (D,) float32 on the CPU, of each image."""
        pixels_BSSC = torch.stack(images)
        if self.graph is not None:
            return list(self.graph(pixels_BSSC))
        return list(tower_features(self.clip, normalise(pixels_BSSC, self.preprocessing)))

    @torch.inference_mode()
    def zero_shot(self, labels: list[str], templates: list[str]) -> Classifier:
        """The text tower's classifier of these labels."""
        weight = build_head(self.clip, labels, templates).cpu()
        return HeadClassifier(labels, weight, self.clip.scale)

    @torch.inference_mode()
    def text_features(self, texts: list[str]) -> Tensor:
        """L2-normalised features (M, D), float32 on the CPU; texts are cut at the context's end."""
        parts = [
            self.clip.text_features(
                self.clip.tokenizer(texts[start : start + TEXTS]).to(self.clip.device)
            )
            for start in range(0, len(texts), TEXTS)
        ]
        return torch.cat(parts).float().cpu() if parts else torch.empty(0, self.clip.embed_dim)

    @cached_property
    def trained(self) -> Classifier | None:
        """The trained head, if the model has one."""
        if self.head is None:
            return None
        return HeadClassifier(self.head.classes, self.head.weight.float(), self.head.scale)


@dataclass(frozen=True, eq=False)
class LoadedMixture:
    """Models that answer together, all of one base and so of one transform."""

    members: Sequence[LoadedModel]
    classifier: MixedClassifier
    calibration: Calibration

    @property
    def bytes(self) -> int:
        return self.classifier.bytes + sum(member.bytes_without_graph for member in self.members)

    def preprocess(self, image: Image.Image) -> Tensor:
        return self.members[0].preprocess(image)

    @property
    def preprocessing(self) -> PreprocessCfg:
        return self.members[0].preprocessing

    @property
    def is_small(self) -> bool:
        return self.members[0].is_small

    def features(self, images: list[Tensor]) -> list[Tensor]:
        """Every member's L2-normalised features, (M, D), of each image."""
        by_member = [torch.stack(member.features(images)) for member in self.members]
        return list(torch.stack(by_member, dim=1))


Loaded = LoadedModel | LoadedMixture


@torch.inference_mode()
def score(
    classifier: Classifier, features: list[Tensor], function: Function, top_k: int | None
) -> list[list[Score]]:
    """The labels of each image, best first."""
    return ranked(classifier.labels, classifier.scores(torch.stack(features), function), top_k)


def ranked(labels: list[str], scores_BK: Tensor, top_k: int | None) -> list[list[Score]]:
    """The labels of each image, best first, by their scores; all of them unless told otherwise."""
    values_BN, columns_BN = scores_BK.topk(min(top_k or len(labels), len(labels)), dim=-1)
    return [
        [
            Score(label=labels[column], score=value)
            for value, column in zip(values, columns, strict=True)
        ]
        for values, columns in zip(values_BN.tolist(), columns_BN.tolist(), strict=True)
    ]


def load_model(
    stored: StoredWeights,
    store: ObjectStore,
    cache: Path,
    device: torch.device,
    precision: ServingPrecision = "auto",
) -> LoadedModel | LoadedMixture:
    """That model, fetched if need be. Raises StorageFault."""
    directory = fetch_model(store, cache, stored.object_key, stored.sha256)
    try:
        mixture = load_mixture(directory)
        if mixture is None:
            return _load_one(directory, device, precision)
        return _load_mixture(directory, mixture, device, precision)
    except (ValueError, OSError) as error:  # a ModelFault is a ValueError
        raise StorageFault(f"{stored.model_id} cannot be loaded: {error}.") from error


def _load_one(directory: Path, device: torch.device, precision: ServingPrecision) -> LoadedModel:
    return LoadedModel(
        load_for_serving(directory, device, precision),
        load_head(directory),
        TrainingDomain.load(directory),
        Calibration.load(directory),
    )


def _load_mixture(
    directory: Path, mixture: Mixture, device: torch.device, precision: ServingPrecision
) -> LoadedMixture:
    members = [_load_one(directory / name, device, precision) for name in mixture.members]
    heads = [member.head for member in members if member.head is not None]
    if len(heads) != len(members):
        raise ModelFault(f"one of {', '.join(mixture.members)} has no head")
    classes = json.loads((directory / CLASSES_FILE).read_text(encoding="utf-8"))["classes"]
    classifier = MixedClassifier(classes, mixture, heads)
    return LoadedMixture(members, classifier, Calibration.load(directory))
