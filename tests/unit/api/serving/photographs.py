"""JPEG files with what pictures have, for what is served to look at."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from core.datasets.limits import Limits
from core.settings import Settings

LIMITS = Limits.from_settings(Settings())


def photograph(seed: int, width: int, height: int) -> bytes:
    """A JPEG with large shapes and fine texture."""
    draws = np.random.default_rng(seed)
    ground = Image.fromarray(draws.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    fine = Image.fromarray(draws.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8))
    image = Image.blend(
        ground.resize((width, height), Image.Resampling.BICUBIC),
        fine.resize((width, height)).filter(ImageFilter.GaussianBlur(1)),
        0.3,
    )
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()
