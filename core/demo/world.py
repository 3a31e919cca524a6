"""The drawn world: 25 kinds of thing in DomainNet's five manners, without a download.

It exists so that the effect the service is about can be seen on a laptop: fine-tuning on `real`
gains accuracy there and loses it on the other four. Every picture and caption is a pure function
of (seed, domain, split, class, index), so a set needs no storing and no two splits share a draw.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from core.demo import styles
from core.demo.captions import DOMAINS, TEMPLATES, compose
from core.demo.photograph import photograph
from core.demo.shapes import CLASSES, draw_shape

__all__ = [
    "CLASSES",
    "DOMAINS",
    "HABIT",
    "IMAGE_SIZE",
    "SHIFTED",
    "SPLITS",
    "TEMPLATES",
    "Split",
    "caption",
    "render",
    "write_archives",
]

Split = Literal["pretrain", "pretrain_validation", "train", "val", "test"]

SPLITS: tuple[Split, ...] = ("pretrain", "pretrain_validation", "train", "val", "test")
"""The first two are the base's web; the last three are the demo user's data."""

SHIFTED: tuple[str, ...] = DOMAINS[1:]
"""The domains a model fine-tuned on `real` never sees."""

IMAGE_SIZE = 36
"""Pixels a side, which is also what the base model takes."""

HABIT = 0.6
"""How often a thing in the demo's photographs has its usual colour, and its usual place."""

_ZIP_TIME = (2020, 1, 1, 0, 0, 0)
_JPEG_QUALITY = 92


def render(
    domain: str, split: Split, label: int, index: int, *, seed: int = 0, size: int = IMAGE_SIZE
) -> Image.Image:
    """Picture `index` of class `label`: the same pixels for the same arguments, anywhere."""
    if domain not in DOMAINS:
        raise ValueError(f"unknown domain {domain!r}; choose one of {', '.join(DOMAINS)}")
    rng = _generator(seed, domain, split, label, index)
    shape = draw_shape(CLASSES[label], rng)
    match domain:
        case "real":
            habit = 0.0 if split.startswith("pretrain") else HABIT
            return photograph(shape, rng, size, label=label, habit=habit)
        case "painting":
            return styles.painting(shape, rng, size)
        case "clipart":
            return styles.clipart(shape, rng, size)
        case "infograph":
            return styles.infograph(shape, rng, size)
        case _:
            return styles.sketch(shape, rng, size)


def caption(
    domain: str, split: Split, label: int, index: int, *, seed: int = 0
) -> tuple[str, bool]:
    """The sentence beside that picture, and whether it names the domain's manner."""
    # One more key, so that words and pixels are drawn from unrelated streams.
    rng = _generator(seed, domain, split, label, index, 1)
    return compose(CLASSES[label], domain, rng)


def write_archives(
    directory: Path,
    *,
    seed: int = 0,
    train_per_class: int = 120,
    test_per_class: int = 80,
    val_per_class: int = 0,
    size: int = IMAGE_SIZE,
) -> dict[str, Path]:
    """Write `demo.zip` (train, val if asked, test, one folder a shifted domain) and name it.

    The bytes are a function of the arguments alone: fixed times, fixed order, nothing compressed
    twice. Photographs are JPEG, drawings PNG, as such files usually are.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "demo.zip"
    folders: list[tuple[str, str, Split, int]] = [
        ("train", "real", "train", train_per_class),
        ("val", "real", "val", val_per_class),
        ("test", "real", "test", test_per_class),
        *((domain, domain, "test", test_per_class) for domain in SHIFTED),
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for folder, domain, split, per_class in folders:
            for label, name in enumerate(CLASSES):
                for index in range(per_class):
                    image = render(domain, split, label, index, seed=seed, size=size)
                    data, suffix = _encode(image, domain)
                    entry = zipfile.ZipInfo(f"{folder}/{name}/{index:05d}.{suffix}", _ZIP_TIME)
                    entry.create_system = 3
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, data)
    return {"demo": path}


def _generator(seed: int, domain: str, split: Split, *rest: int) -> np.random.Generator:
    return np.random.default_rng([seed, DOMAINS.index(domain), SPLITS.index(split), *rest])


def _encode(image: Image.Image, domain: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if domain == "real":
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        return buffer.getvalue(), "jpg"
    image.save(buffer, "PNG")
    return buffer.getvalue(), "png"
