"""Built-in shifts for users without shifted data: ImageNet-C's 15 corruptions at five severities.

After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, written from the published definitions and severities. A corruption
acts on a whole decoded image, before the model's own transform. What differs from the published
images is in `docs/decisions/own-corruptions.md`; above all, frost is drawn, not photographed.

Importing this package loads no library, so that the API can know the names.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from core.learning.shifts.names import (
    CORRUPTIONS,
    FAMILIES,
    PREFIX,
    SEVERITIES,
    check,
    expand_shift_names,
    is_shift_name,
    parse_shift_name,
    shift_name,
)

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "CORRUPTIONS",
    "FAMILIES",
    "PREFIX",
    "REVISION",
    "SEVERITIES",
    "corrupt",
    "expand_shift_names",
    "is_shift_name",
    "parse_shift_name",
    "shift_name",
]

REVISION = 1
"""Raise it when a corruption's pixels change: what was made of the old ones is cached by it."""


def corrupt(image: Image.Image, name: str, severity: int, *, seed: int, key: str) -> Image.Image:
    """`image` (RGB) under the corruption `name` at `severity`, 1 to 5: RGB of the same size.

    A pure function of its arguments. `key` is the image's name or digest, so that no two images
    share their draws; one image has the same draws (its motion's direction, its snow flakes) at
    all five severities, which therefore differ in strength alone.

    Lengths are published in pixels of a 224 px image and shrink with an image's shorter side. An
    image with a longer one is corrupted at 224 px, as the published ones are, and enlarged again:
    no model would see single noisy pixels in a photograph that its transform shrinks tenfold.

    Raises ValueError when `name` or `severity` is unknown or the image is not RGB.
    """
    check(name, severity)
    if image.mode != "RGB":
        raise ValueError(f"the image's mode is {image.mode!r}; convert it to 'RGB' first")
    from core.learning.randomness import generator
    from core.learning.shifts.image import corrupted

    position = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return corrupted(image, name, severity, generator(seed, f"corruption.{name}", position))
