"""A CLIP-like model on disk and in memory, in open_clip's own layout.

A model directory holds `open_clip_config.json` (architecture and preprocessing),
`open_clip_model.safetensors` and, where the model has a tokenizer of its own, the tokenizer's
files: exactly what `open_clip.create_model_and_transforms("local-dir:DIR")` reads. A fine-tuned
model adds its head: `head.safetensors` (W, scale) and `classes.json`.

Where a model comes from (an open_clip tag, a hub, a directory) is `core.learning.sources`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.learning.text_tower import TextTower

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
HEAD_FILE = "head.safetensors"
CLASSES_FILE = "classes.json"

# What `save_pretrained` of a Hugging Face tokenizer may write; copied with a model as they are.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)


class ModelFault(ValueError):
    """A model directory that cannot be loaded, saying which file and why."""


@dataclass
class Clip:
    """One loaded model: both towers, the tokenizer and open_clip's own validation transform."""

    model: nn.Module
    tokenizer: Callable[..., Tensor]
    config: dict[str, Any]
    tokenizer_files: dict[str, bytes]

    @property
    def scale(self) -> float:
        """exp(logit_scale): what cosine similarities are multiplied by to make logits."""
        logit_scale: Tensor = self.model.logit_scale  # type: ignore[assignment]
        return float(logit_scale.detach().exp().reshape(()))

    @property
    def visual(self) -> nn.Module:
        """The image tower, projection included."""
        return self.model.visual  # type: ignore[return-value]

    @property
    def text(self) -> TextTower:
        """The text tower with what this tokenizer says of it."""
        return TextTower(self.model, self.tokenizer)

    @property
    def image_size(self) -> int:
        """Side of the square input image, pixels."""
        size = self.config["preprocess_cfg"]["size"]
        return int(size if isinstance(size, int) else size[0])

    @property
    def embed_dim(self) -> int:
        return int(self.config["model_cfg"]["embed_dim"])

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def preprocess(self, image: Image.Image) -> Tensor:
        """open_clip's validation transform: (3, S, S) float32, normalised."""
        tensor: Tensor = self._transform(image)
        return tensor

    @cached_property
    def preprocess_config(self) -> PreprocessCfg:
        known = PreprocessCfg.__dataclass_fields__
        config = {k: v for k, v in self.config["preprocess_cfg"].items() if k in known}
        return PreprocessCfg(**config)

    @cached_property
    def _transform(self) -> Callable[[Image.Image], Tensor]:
        return image_transform_v2(self.preprocess_config, is_train=False)  # type: ignore[no-any-return]

    def image_features(self, images_BCHW: Tensor) -> Tensor:
        """L2-normalised image features (B, D)."""
        return nn.functional.normalize(self.visual(images_BCHW), dim=-1)

    def text_features(self, token_ids_MN: Tensor) -> Tensor:
        """L2-normalised text features (M, D) of tokens padded to the model's context."""
        return self.model.encode_text(token_ids_MN, normalize=True)  # type: ignore[no-any-return,operator]

    def to(self, device: torch.device | str) -> Clip:
        """Move the weights; returns itself."""
        self.model.to(device)
        return self


@dataclass(frozen=True)
class Head:
    """A classification head: logits = scale * normalised features @ weight."""

    weight: Tensor  # (D, K), columns are classes
    scale: float
    classes: list[str]  # readable names, in column order
    class_keys: list[str]  # folder names, in column order
    templates: list[str]
    class_subsets: dict[str, list[int]]  # split name -> columns that split can hold
    from_text: bool = False  # built from this model's own text tower, not trained by itself
    temperature: float = 1.0  # what `scale` has been divided by to calibrate it

    def logits(self, features_BD: Tensor) -> Tensor:
        """(B, K) logits in float32 of L2-normalised features."""
        return self.scale * features_BD.float() @ self.weight


def load_directory(directory: Path) -> Clip:
    """Load a model directory in float32 on the CPU.

    Raises `ModelFault` when the configuration or the weights are missing or do not fit.
    """
    config = _read_config(directory)
    if not (directory / WEIGHTS_FILE).is_file():
        raise ModelFault(f"{directory.name} has no {WEIGHTS_FILE}; only safetensors are loaded")
    try:
        model = open_clip.create_model(f"local-dir:{directory}", pretrained_text=False)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{directory}")
    except (ValueError, RuntimeError, OSError, KeyError) as fault:
        raise ModelFault(f"{directory.name} is not a model open_clip can load: {fault}") from fault
    config["preprocess_cfg"] = dict(open_clip.get_model_preprocess_cfg(model))
    files = {
        name: (directory / name).read_bytes()
        for name in TOKENIZER_FILES
        if (directory / name).is_file()
    }
    return Clip(model.eval(), tokenizer, config, files)


def save_directory(clip: Clip, directory: Path) -> None:
    """Write the model so that open_clip's `local-dir:` loads it. The directory may exist."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().cpu().contiguous() for k, v in clip.model.state_dict().items()}
    save_file(state, directory / WEIGHTS_FILE, metadata={"format": "pt"})
    text = json.dumps(clip.config, indent=2, sort_keys=True, default=list)
    (directory / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    for name, content in clip.tokenizer_files.items():
        (directory / name).write_bytes(content)


def save_head(head: Head, directory: Path) -> None:
    """Write `head.safetensors` and `classes.json` beside the model's files."""
    tensors = {
        "weight": head.weight.detach().cpu().float().contiguous(),
        "scale": torch.tensor(head.scale, dtype=torch.float64),
    }
    save_file(tensors, directory / HEAD_FILE)
    save_classes(head, directory)


def save_classes(head: Head, directory: Path) -> None:
    """Write `classes.json`: what the head's columns mean and how it came about."""
    classes = {
        "classes": head.classes,
        "class_keys": head.class_keys,
        "templates": head.templates,
        "class_subsets": head.class_subsets,
        "from_text": head.from_text,
        "temperature": head.temperature,
    }
    text = json.dumps(classes, indent=2, sort_keys=True, ensure_ascii=False)
    (directory / CLASSES_FILE).write_text(text + "\n", encoding="utf-8")


def load_head(directory: Path) -> Head | None:
    """The head of a fine-tuned model; None for a model that has none."""
    path = directory / HEAD_FILE
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as tensors:
        weight = tensors.get_tensor("weight")
        scale = float(tensors.get_tensor("scale"))
    return Head(weight=weight, scale=scale, **json.loads((directory / CLASSES_FILE).read_text()))


def pick_device(wanted: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise ModelFault(f"{directory.name} has no {CONFIG_FILE}") from fault
    except ValueError as fault:
        raise ModelFault(f"{CONFIG_FILE} of {directory.name} is not JSON: {fault}") from fault
    if not isinstance(config, dict) or "model_cfg" not in config:
        raise ModelFault(f'{CONFIG_FILE} of {directory.name} has no "model_cfg"')
    return config
