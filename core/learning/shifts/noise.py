"""Noise: gaussian (poor light), shot (few photons), impulse (broken bits).

Amplitudes are a pixel's, whatever the image's size.
"""

from __future__ import annotations

import numpy as np

from core.learning.shifts.pixels import Pixels

GAUSSIAN_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT_PHOTONS = (60, 25, 12, 5, 3)  # that make a white pixel
IMPULSE_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)  # of values that become 0 or 1


def gaussian_noise(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    noise_HW3 = rng.standard_normal(image_HW3.shape, dtype=np.float32)
    return image_HW3 + GAUSSIAN_DEVIATION[severity - 1] * noise_HW3


def shot_noise(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    photons = SHOT_PHOTONS[severity - 1]
    return (rng.poisson(image_HW3 * photons) / photons).astype(np.float32)


def impulse_noise(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Salt and pepper in equal parts, each value of each channel on its own."""
    share = IMPULSE_SHARE[severity - 1]
    draw_HW3 = rng.random(image_HW3.shape, dtype=np.float32)
    salted_HW3 = np.where(draw_HW3 > 1 - share / 2, np.float32(1), image_HW3)
    return np.where(draw_HW3 < share / 2, np.float32(0), salted_HW3)
