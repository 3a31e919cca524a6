"""One model in memory: preprocessing, image features, scores. Blocking: call it in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from core.errors import StorageFault
from core.learning.models import Clip, Head, ModelFault, load_directory, load_head
from core.learning.zero_shot import build_head
from core.model_cache import fetch_model
from core.objects import ObjectStore
from core.prediction import Function, Prediction, Score


@dataclass(frozen=True)
class Classifier:
    """Labels and what turns features into their logits: scale * features @ weight."""

    labels: list[str]
    weight_DK: Tensor  # float32, on the CPU
    scale: float

    @property
    def bytes(self) -> int:
        return self.weight_DK.nbytes


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model on its device in float32, with its trained head where it has one."""

    clip: Clip
    head: Head | None

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.clip.model.state_dict().values())

    def preprocess(self, image: Image.Image) -> Tensor:
        """open_clip's own validation transform, (C, H, W) on the CPU."""
        return self.clip.preprocess(image)

    @torch.inference_mode()
    def features(self, images: list[Tensor]) -> list[Tensor]:
        """L2-normalised features, (D,) float32 on the CPU, of each image."""
        batch_BCHW = torch.stack(images).to(self.clip.device)
        return list(self.clip.image_features(batch_BCHW).float().cpu())

    @torch.inference_mode()
    def zero_shot(self, labels: list[str], templates: list[str]) -> Classifier:
        """The text tower's classifier of these labels."""
        weight = build_head(self.clip, labels, templates).cpu()
        return Classifier(labels, weight, self.clip.scale)

    def trained(self) -> Classifier | None:
        """The trained head, if the model has one."""
        if self.head is None:
            return None
        return Classifier(self.head.classes, self.head.weight.float(), self.head.scale)


@torch.inference_mode()
def score(
    classifier: Classifier, features: list[Tensor], function: Function, top_k: int | None
) -> list[list[Score]]:
    """The labels of each image, best first."""
    logits_BK = classifier.scale * torch.stack(features) @ classifier.weight_DK
    scores_BK = _apply(function, logits_BK)
    n_kept = min(top_k or len(classifier.labels), len(classifier.labels))
    values_BN, columns_BN = scores_BK.topk(n_kept, dim=-1)
    return [
        [
            Score(label=classifier.labels[column], score=value)
            for value, column in zip(values, columns, strict=True)
        ]
        for values, columns in zip(values_BN.tolist(), columns_BN.tolist(), strict=True)
    ]


def load_model(
    prediction: Prediction, store: ObjectStore, cache: Path, device: torch.device
) -> LoadedModel:
    """The model a prediction names, fetched if need be. Raises StorageFault."""
    directory = fetch_model(store, cache, prediction.object_key, prediction.sha256)
    try:
        clip = load_directory(directory).to(device)
        return LoadedModel(clip, load_head(directory))
    except (ModelFault, OSError) as error:
        raise StorageFault(f"{prediction.model_id} cannot be loaded: {error}.") from error


def _apply(function: Function, logits: Tensor) -> Tensor:
    if function == "softmax":
        return logits.softmax(dim=-1)
    return logits.sigmoid() if function == "sigmoid" else logits
