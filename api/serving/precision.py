"""Large image towers in bfloat16, where the device has instructions for it: a third of the time and
half the memory. What a tower then says is held against what it said in float32."""

from __future__ import annotations

from pathlib import Path

import structlog
import torch
from torch import Tensor, nn

from core.learning.formats.base import random_images
from core.learning.models import Clip, load_directory
from core.learning.precision import has_fast_bf16
from core.settings import ServingPrecision

# A small tower's operations take as long to be called as to be computed. Measured on two cores with
# images of 36 pixels; ViT-S/32 has 22 million weights.
SMALL_TOWER = 8_000_000  # weights

# Cosine distance of features from float32's. Measured: a ViT-B/32 of random weights 6e-5,
# the demo's base 4e-5.
FARTHEST = 1e-3

log = structlog.get_logger(__name__)


def is_small(tower: nn.Module) -> bool:
    """Whether calling the tower's operations takes as long as computing them."""
    weights: int = sum(weight.numel() for weight in tower.state_dict().values())
    return weights < SMALL_TOWER


def load_for_serving(directory: Path, device: torch.device, precision: ServingPrecision) -> Clip:
    """The model on its device, its image tower in the precision it is served in.

    Raises `core.learning.models.ModelFault` as `load_directory`.
    """
    clip = load_directory(directory).to(device)
    if precision == "fp32" or is_small(clip.visual):
        return clip
    if precision == "auto" and not has_fast_bf16(device):
        return clip
    why = _turn_to_bf16(clip)
    if why is None:
        return clip
    log.info("served_in_fp32", model=directory.name, why=why)
    return load_directory(directory).to(device)


@torch.inference_mode()
def tower_features(clip: Clip, images_BCHW: Tensor) -> Tensor:
    """L2-normalised features (B, D), float32 on the CPU, of prepared images in float32."""
    return features_on_device(clip, images_BCHW.to(clip.device)).cpu()


def features_on_device(clip: Clip, images_BCHW: Tensor) -> Tensor:
    """The same, of images on the model's device and there."""
    tower = clip.visual
    found_BD: Tensor = tower(images_BCHW.to(next(tower.parameters()).dtype))
    return nn.functional.normalize(found_BD.float(), dim=-1)


def _turn_to_bf16(clip: Clip) -> str | None:
    """Why the tower must stay in float32, for which it is then to be loaded again."""
    images = random_images(clip)[:1]
    expected = tower_features(clip, images)
    clip.visual.to(torch.bfloat16)
    try:
        found = tower_features(clip, images)
    except RuntimeError as fault:  # an operation that wants float32
        return str(fault)
    distance = float((1 - (expected * found).sum(dim=-1)).max())
    return None if distance <= FARTHEST else f"features move by a cosine distance of {distance:.2g}"
