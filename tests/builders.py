"""Small real things for tests: models, heads, images. Nothing here is a mock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image

from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.models import Clip, Head
from core.learning.processes import Processes
from core.learning.random_text import DrawnTexts
from core.learning.trainer import Trainer

TINY_VISION = {
    "image_size": 16,
    "patch_size": 8,
    "width": 16,
    "layers": 2,
    "head_width": 8,
    "mlp_ratio": 2.0,
}
TINY_TEXT = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 16,
    "heads": 2,
    "layers": 2,
    "mlp_ratio": 2.0,
}


def tiny_config(**text: Any) -> dict[str, Any]:
    """An open_clip configuration of a model of a few hundred thousand parameters."""
    return {
        "model_cfg": {
            "embed_dim": 8,
            "quick_gelu": True,
            "vision_cfg": dict(TINY_VISION),
            "text_cfg": {**TINY_TEXT, **text},
        },
        "preprocess_cfg": {
            "size": 16,
            "mode": "RGB",
            "mean": list(open_clip.OPENAI_DATASET_MEAN),
            "std": list(open_clip.OPENAI_DATASET_STD),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "fill_color": 0,
        },
    }


def tiny_clip(seed: int = 0, *, custom_text: bool = False, **text: Any) -> Clip:
    """A tiny random CLIP with OpenAI's tokenizer."""
    torch.manual_seed(seed)
    config = tiny_config(**text)
    model_class = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
    model = model_class(**config["model_cfg"])
    if custom_text:
        config["model_cfg"]["custom_text"] = True
    return Clip(model.eval(), open_clip.SimpleTokenizer(), config, {})


def unit_head(dimension: int, n_classes: int, seed: int = 0) -> torch.Tensor:
    """A head (D, K) with unit columns."""
    weight = torch.randn(dimension, n_classes, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(weight, dim=0)


TINY_CLASSES = ["cat", "dog", "red fox", "oak", "bus"]


def tiny_head(n_classes: int = 5) -> Head:
    """A head for `tiny_clip` with unit columns, two templates and readable classes."""
    classes = TINY_CLASSES[:n_classes]
    templates = ["a photo of a {}.", "a drawing of a {}."]
    return Head(unit_head(8, n_classes), 10.0, classes, classes, templates, {})


def method(name: str, **hyperparameters: Any) -> TrainingMethod:
    """A training method with a recipe small enough for a test."""
    small = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 6, "precision": "fp32"}
    found = registry()[name]
    assert issubclass(found, TrainingMethod)
    return found(found.resolve({**small, **hyperparameters}, n_train=32))


class RandomBatches:
    """Fixed random images and labels for every step."""

    def __init__(
        self,
        batch_size: int = 8,
        n_classes: int = 5,
        side: int = 16,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._dtype = dtype
        self._shape = (batch_size, 3, side, side)
        self._n_classes = n_classes

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        draws = torch.Generator().manual_seed(1000 + step)
        images = torch.randn(self._shape, generator=draws)
        labels = torch.randint(0, self._n_classes, (self._shape[0],), generator=draws)
        mine = Processes.current().share(len(labels))
        return images[mine].to(self._dtype), labels


def random_image(seed: int, width: int = 20, height: int = 24) -> Image.Image:
    """An RGB image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_trainer(
    name: str = "lipsum_ft",
    *,
    double: bool = False,
    device: str = "cpu",
    repeatable: bool = False,
    **knobs: Any,
) -> Trainer:
    """A run of a method on `tiny_clip`, `tiny_head` and random batches."""
    clip, head, batches = tiny_clip(), tiny_head(), RandomBatches()
    if double:
        clip.model.double()
        head = replace(head, weight=head.weight.double())
        batches = RandomBatches(dtype=torch.float64)
    clip.to(device)
    texts = DrawnTexts(clip.text, 0)
    return Trainer(clip, head, method(name, **knobs), batches, texts, repeatable=repeatable)
