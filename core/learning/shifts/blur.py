"""Blur: defocus (a disk), glass (local shuffling), motion (a fading streak), zoom.

Lengths are published in pixels of a 224 px image; `length` makes them an image's own.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy import ndimage

from core.learning.shifts.pixels import Pixels, convolved, length, to_image, to_pixels

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, deviation of its edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
"""Deviation of the blur before and after, farthest exchange, rounds of exchanges."""
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # half the streak, its deviation
MOTION_DEGREES = 45  # a camera shakes sideways more than up and down
ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end, step


def defocus_blur(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    radius, deviation = (length(published, image_HW3) for published in DEFOCUS[severity - 1])
    middle = math.ceil(radius + 4 * deviation)
    across = np.arange(-middle, middle + 1)
    # One inside, zero outside, the covered share of a pixel on the circle itself.
    disk = np.clip(radius + 0.5 - np.hypot(across[:, None], across[None, :]), 0, 1)
    kernel = ndimage.gaussian_filter(disk, deviation, mode="constant")
    return convolved(image_HW3, (kernel / kernel.sum()).astype(np.float32))


def glass_blur(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Blurred, shuffled, blurred.

    The original exchanges neighbours one pair after the other, which no array operation can;
    here every pixel of a round fetches the value of a neighbour at once, so a value may be lost.
    """
    published, farthest, rounds = GLASS[severity - 1]
    deviation = length(published, image_HW3)
    # Rounded, so that with a whole number all distances up to it are equally likely.
    reach = length(farthest, image_HW3) + 0.5
    height, width = image_HW3.shape[:2]
    rows_HW, columns_HW = np.indices((height, width))
    shuffled_HW3 = _gaussian(image_HW3, deviation)
    for _ in range(rounds):
        down_HW, right_HW = np.rint(rng.uniform(-reach, reach, (2, height, width))).astype(int)
        shuffled_HW3 = shuffled_HW3[
            np.clip(rows_HW + down_HW, 0, height - 1), np.clip(columns_HW + right_HW, 0, width - 1)
        ]
    return _gaussian(shuffled_HW3, deviation)


def motion_blur(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    half, deviation = MOTION[severity - 1]
    angle = rng.uniform(-MOTION_DEGREES, MOTION_DEGREES)
    return streaked(image_HW3, half, deviation, angle)


def zoom_blur(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """The mean of the image and of enlargements about its centre."""
    image = to_image(image_HW3)
    width, height = image.size
    factors = np.arange(1, *ZOOM[severity - 1])
    total_HW3 = image_HW3.copy()
    for factor in factors.tolist():
        left, top = (width - width / factor) / 2, (height - height / factor) / 2
        box = (left, top, width - left, height - top)
        total_HW3 += to_pixels(image.resize((width, height), Image.Resampling.BILINEAR, box))
    return total_HW3 / np.float32(len(factors) + 1)


def streaked(image: Pixels, half: int, deviation: float, degrees: float) -> Pixels:
    """The image, (H, W) or (H, W, 3), dragged to one side, fading as half a Gaussian.

    As ImageMagick's motion blur, which the paper uses: 2 * half + 1 taps from the centre onwards,
    each shared among the four pixels around it.
    """
    reach = length(2 * half, image)
    taps_T = np.linspace(0, reach, 2 * half + 1)
    weights_T = np.exp(-(taps_T**2) / (2 * length(deviation, image) ** 2))
    middle = math.ceil(reach) + 1
    rows_T = middle + taps_T * math.sin(math.radians(degrees))
    columns_T = middle + taps_T * math.cos(math.radians(degrees))
    tops_T, lefts_T = np.floor(rows_T).astype(int), np.floor(columns_T).astype(int)
    kernel = np.zeros((2 * middle + 1, 2 * middle + 1))
    for down in (0, 1):
        for right in (0, 1):
            shares_T = 1 - np.abs(rows_T - tops_T - down)
            shares_T *= 1 - np.abs(columns_T - lefts_T - right)
            np.add.at(kernel, (tops_T + down, lefts_T + right), weights_T * shares_T)
    return convolved(image, (kernel / kernel.sum()).astype(np.float32))


def _gaussian(image_HW3: Pixels, deviation: float) -> Pixels:
    return np.asarray(ndimage.gaussian_filter(image_HW3, deviation, axes=(0, 1)))
