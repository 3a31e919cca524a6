"""What kinds of tower a model has, read from its configuration without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

ImageTower = Literal["transformer", "resnet", "other", "unknown"]
TextTower = Literal["transformer", "other", "none", "unknown"]


@dataclass(frozen=True)
class Architecture:
    """The towers of a model. `transformer` is open_clip's own; `other` is timm's or Hugging
    Face's; `unknown` is a model registered before its towers were noted, which fits everything
    until it is loaded."""

    image_tower: ImageTower = "unknown"
    text_tower: TextTower = "unknown"

    @property
    def has_text_tower(self) -> bool:
        return self.text_tower != "none"

    def as_info(self) -> dict[str, str]:
        """The fields, to be kept with a model's row."""
        return asdict(self)


def read_architecture(model_cfg: Mapping[str, Any]) -> Architecture:
    """From open_clip's `model_cfg`. A vision tower with a list of layers is a ResNet."""
    vision, text = model_cfg.get("vision_cfg") or {}, model_cfg.get("text_cfg")
    image: ImageTower = "transformer"
    if vision.get("timm_model_name"):
        image = "other"
    elif isinstance(vision.get("layers"), list | tuple):
        image = "resnet"
    words: TextTower = "none" if not text else "transformer"
    if text and text.get("hf_model_name"):
        words = "other"
    return Architecture(image, words)


def architecture_of(info: Mapping[str, Any]) -> Architecture:
    """From what `as_info` kept; what is missing there is `unknown`."""
    return Architecture(info.get("image_tower", "unknown"), info.get("text_tower", "unknown"))
