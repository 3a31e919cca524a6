"""Features of stored models, kept by content: jobs that score a model again do not run it again."""

from __future__ import annotations

import os
from collections.abc import Callable

from safetensors.torch import load_file, save_file
from torch import Tensor

from core.learning.evaluation import split_features
from core.learning.models import Clip
from core.learning.pixels import EvaluationPixels
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
    if path.is_file():
        os.utime(path)
    else:
        hold()
        features = split_features(clip, clip.visual, pixels)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        save_file({"features": features.contiguous()}, part)
        os.replace(part, path)
    return load_file(path)["features"]
