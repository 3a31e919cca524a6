"""JPEG files such as cameras make: 500 x 400, some 60 kB, no two alike."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 500, 400
QUALITY = 90


def jpegs(n: int, width: int = WIDTH, height: int = HEIGHT) -> list[bytes]:
    """Smooth colours with texture: neither flat, which decodes too fast, nor noise, too slow."""
    return [_jpeg(seed, width, height) for seed in range(n)]


def _jpeg(seed: int, width: int, height: int) -> bytes:
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    fine = draws.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    ground = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    texture = Image.fromarray(fine).resize((width, height), Image.Resampling.BILINEAR)
    image = Image.blend(ground, texture.filter(ImageFilter.GaussianBlur(1)), 0.3)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
