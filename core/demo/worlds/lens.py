"""The last step of every picture: blur, reduction to size, contrast, colour cast and noise."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from core.demo.canvas import OVERSAMPLE


def develop(
    image: Image.Image,
    rng: np.random.Generator,
    *,
    blur: float,
    contrast: tuple[float, float],
    noise: tuple[float, float],
) -> Image.Image:
    """The oversampled `image` as a poor camera keeps it.

    `blur` is the largest radius in oversampled pixels (half of the pictures have none); contrast
    is a factor about the middle and noise a standard deviation in grey levels, each drawn from its
    range.
    """
    u = rng.random(5).tolist()
    if u[0] < 0.5:
        image = image.filter(ImageFilter.BoxBlur(blur * u[1]))
    small_HWC = np.asarray(image.reduce(OVERSAMPLE), dtype=np.float32)
    factor = contrast[0] + (contrast[1] - contrast[0]) * u[2]
    cast_3 = 0.88 + 0.24 * rng.random(3)
    deviation = noise[0] + (noise[1] - noise[0]) * u[3]
    grain_HWC = rng.normal(0.0, deviation, small_HWC.shape)
    seen_HWC = (small_HWC * cast_3 - 128.0) * factor + 118.0 + 30.0 * (u[4] - 0.5) + grain_HWC
    return Image.fromarray(np.clip(seen_HWC, 0, 255).astype(np.uint8), "RGB")
