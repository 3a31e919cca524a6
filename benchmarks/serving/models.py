"""The two models that are served: the demo's base, and a ViT-B/32 of random weights; each beside a
model that could have been fine-tuned from it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch

from core.demo.base_files import BASE
from core.learning.models import Clip, Head, load_directory, save_directory, save_head
from core.learning.zero_shot import build_head

CLASSES = [f"thing {n}" for n in range(25)]
TEMPLATES = ["a photo of a {}."]
STEP = 1e-3  # standard deviation of what fine-tuning is said to have added to every weight


@dataclass(frozen=True)
class Served:
    """Two model directories."""

    base: Path
    tuned: Path


def make(name: str, directory: Path) -> Served:
    """`demo` or `ViT-B-32`, written under that directory."""
    base = directory / name / "base"
    if name == "demo":
        shutil.copytree(BASE, base)
    else:
        save_directory(_random(name), base)
    return Served(base, retuned(base, directory / name / "tuned", 0))


def retuned(base: Path, target: Path, seed: int) -> Path:
    """A model that could have been fine-tuned from that base, written to `target`."""
    clip = load_directory(base)
    head = build_head(clip, CLASSES, TEMPLATES)
    torch.manual_seed(1 + seed)
    with torch.no_grad():
        for parameter in clip.visual.parameters():
            parameter.add_(STEP * torch.randn_like(parameter))
    save_directory(clip, target)
    save_head(Head(head, clip.scale, CLASSES, CLASSES, TEMPLATES, {}), target)
    return target


def _random(name: str) -> Clip:
    torch.manual_seed(0)
    model = open_clip.create_model(name)
    config = {
        "model_cfg": open_clip.get_model_config(name),
        "preprocess_cfg": dict(open_clip.get_model_preprocess_cfg(model)),
    }
    return Clip(model.eval(), open_clip.get_tokenizer(name), config, {})
