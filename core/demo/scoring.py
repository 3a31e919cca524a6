"""Zero-shot accuracy of a base on drawn worlds, domain by domain."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from PIL import Image
from torch import Tensor

from core.demo.base_files import Tokenizer, load_tokenizer, to_pixels
from core.demo.web import Web
from core.demo.worlds import World

GATE = (60.0, 95.0)
"""Zero-shot accuracy, percent, that the demo needs on each domain: useful but not saturated."""

_BATCH = 250


def web_accuracy(
    model: CLIP, tokenizer: Tokenizer, web: Web, worlds: Sequence[World]
) -> dict[str, dict[str, float]]:
    """Percent right in each manner of each of the worlds that `web` was drawn of.

    Each world is answered with its own classes alone.
    """
    accuracy: dict[str, dict[str, float]] = {}
    first_label = first_manner = 0
    for world in worlds:
        head_DK = zero_shot_head(model, tokenizer, world)
        accuracy[world.name] = {}
        for number, manner in enumerate(world.manners, start=first_manner):
            chosen = np.flatnonzero(web.domains_N == number)
            pixels = to_pixels(web.images_NHWC[chosen])
            labels = web.labels_N[chosen] - first_label
            accuracy[world.name][manner] = _percent_right(model, head_DK, pixels, labels)
        first_label += len(world.classes)
        first_manner += len(world.manners)
    return accuracy


def archive_accuracy(base: Path, archive: Path, world: World) -> dict[str, float]:
    """Percent right of the files in `base` on the test folders of a world's archive, by domain.

    Everything as a stranger would do it: open_clip's loader, its transform, the archive's bytes.
    """
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{base}")
    head_DK = zero_shot_head(model, load_tokenizer(base), world)
    accuracy = {}
    folders = (("test", world.domains[0]), *((name, name) for name in world.shifted))
    with zipfile.ZipFile(archive) as opened:
        for folder, domain in folders:
            names = [n for n in opened.namelist() if n.startswith(f"{folder}/")]
            images = [Image.open(io.BytesIO(opened.read(name))) for name in names]
            pixels = torch.stack([transform(image) for image in images])
            labels = np.array([world.classes.index(name.split("/")[1]) for name in names])
            accuracy[domain] = _percent_right(model, head_DK, pixels, labels)
    return accuracy


@torch.no_grad()
def zero_shot_head(model: CLIP, tokenizer: Tokenizer, world: World) -> Tensor:
    """One normalised column a class: the mean of its normalised prompts, normalised again."""
    columns = []
    for name in world.classes:
        prompts = tokenizer([template.format(name) for template in world.templates])
        features = model.encode_text(prompts.to(model.logit_scale.device), normalize=True)
        columns.append(F.normalize(features.mean(0), dim=-1))
    return torch.stack(columns, dim=1)


@torch.no_grad()
def _percent_right(
    model: CLIP, head_DK: Tensor, pixels: Tensor, labels: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> float:
    was_training = model.training
    model.eval()
    answers = [
        (model.encode_image(batch.to(head_DK.device), normalize=True) @ head_DK).argmax(1)
        for batch in torch.split(pixels, _BATCH)
    ]
    model.train(was_training)
    return round(100.0 * float((torch.cat(answers).cpu().numpy() == labels).mean()), 2)
