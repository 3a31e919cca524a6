"""What stored models make of images and of class names, kept by content: jobs that score a model
again do not run it again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from core.learning.evaluation import split_features
from core.learning.models import Clip
from core.learning.pixels import EvaluationPixels
from core.learning.zero_shot import build_head
from worker.pipeline.data import Split, content_of
from worker.pipeline.workspace import Workspace


def cached_features(
    workspace: Workspace,
    clip: Clip,
    sha256: str,
    split: Split,
    pixels: EvaluationPixels,
    hold: Callable[[], None] = lambda: None,
) -> Tensor:
    """Features (N, D) of a split under the stored model of that digest, mapped from their file.

    Where nothing is kept yet `clip` computes them; `hold` is called before and puts the model's
    weights into it.
    """
    path = workspace.cache_path("features", sha256, repr(clip.preprocess_config), content_of(split))

    def compute() -> Tensor:
        hold()
        return split_features(clip, clip.visual, pixels)

    return _kept(path, "features", compute)


def cached_head(
    workspace: Workspace, clip: Clip, sha256: str, classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """The zero-shot head (D, K) of the stored model of that digest, whose weights `clip` holds; on
    the model's device."""
    texts = (str(len(classes)), *classes, *templates)
    path = workspace.cache_path("heads", sha256, *texts)
    head = _kept(path, "head", lambda: build_head(clip, classes, templates).cpu())
    return head.to(clip.device)


def _kept(path: Path, name: str, compute: Callable[[], Tensor]) -> Tensor:
    """The tensor in that file, which is made where there is none."""
    if path.is_file():
        os.utime(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        save_file({name: compute().contiguous()}, part)
        os.replace(part, path)
    return load_file(path)[name]
