"""From a decoded image to a corrupted one of the same size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.learning.shifts import blur, digital, noise, weather
from core.learning.shifts.pixels import REFERENCE_SIDE, Corruption, to_image, to_pixels

_FUNCTIONS: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}


def corrupted(
    image: Image.Image, name: str, severity: int, rng: np.random.Generator
) -> Image.Image:
    """`image` (RGB) after the named corruption, the same size."""
    factor = REFERENCE_SIDE / min(image.size)
    if factor >= 1:
        return to_image(_FUNCTIONS[name](to_pixels(image), severity, rng))
    width, height = (round(side * factor) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    done = to_image(_FUNCTIONS[name](to_pixels(small), severity, rng))
    return done.resize(image.size, Image.Resampling.BICUBIC)
