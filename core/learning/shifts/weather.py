"""Weather: snow, frost, fog, brightness.

Ice and fog, which fill a frame, are drawn at 224 px and shrunk to the image's size; a flake's
lengths are made an image's own by `length`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from core.learning.shifts.blur import streaked
from core.learning.shifts.ice import ice
from core.learning.shifts.pixels import Pixels, from_reference, length, reference_shape
from core.learning.shifts.plasma import plasma

SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
"""Mean and deviation of the flakes, their size, threshold, half their streak, its deviation, and
how much of the image remains under the whitening."""
SNOW_DEGREES = (45, 135)  # downwards
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # of the image, of the ice
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))  # thickness, smoothness
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FROST_TINT = np.array([0.88, 0.97, 1.0], dtype=np.float32)


def snow(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """The image paler, with flakes falling aslant, and the same flakes turned half round."""
    mean, deviation, published, threshold, half, streak, remains = SNOW[severity - 1]
    height, width = image_HW3.shape[:2]
    size = length(published, image_HW3)
    few = (math.ceil(height / size), math.ceil(width / size))
    flakes = (mean + deviation * rng.standard_normal(few)).astype(np.float32)
    flakes_HW = _enlarged(flakes, size)[:height, :width]
    flakes_HW = np.where(flakes_HW < threshold, 0, np.clip(flakes_HW, 0, 1))
    falling_HW = streaked(flakes_HW, half, streak, rng.uniform(*SNOW_DEGREES))
    grey_HW1 = (image_HW3 @ _LUMINANCE)[..., None]
    pale_HW3 = np.maximum(image_HW3, 1.5 * grey_HW1 + 0.5)
    mixed_HW3 = remains * image_HW3 + (1 - remains) * pale_HW3
    both_HW = falling_HW + falling_HW[::-1, ::-1]
    return np.asarray(mixed_HW3 + both_HW[..., None], dtype=np.float32)


def frost(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Behind an icy window. The original lays photographs over the image; this ice is drawn."""
    of_image, of_ice = FROST[severity - 1]
    ice_HW = from_reference(ice(reference_shape(image_HW3), rng), image_HW3)
    mixed_HW3 = of_image * image_HW3 + of_ice * ice_HW[..., None] * _FROST_TINT
    return np.asarray(mixed_HW3, dtype=np.float32)


def fog(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    thickness, decay = FOG[severity - 1]
    fog_HW = from_reference(plasma(reference_shape(image_HW3), decay, rng), image_HW3)
    brightest = float(image_HW3.max())
    foggy_HW3 = (image_HW3 + thickness * fog_HW[..., None]) * brightest / (brightest + thickness)
    return np.asarray(foggy_HW3, dtype=np.float32)


def brightness(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Added to the value of hue, saturation and value; the other two stay."""
    value_HW1 = image_HW3.max(axis=-1, keepdims=True)
    brighter_HW1 = np.minimum(value_HW1 + np.float32(BRIGHTNESS[severity - 1]), 1)
    # Black has neither hue nor saturation and becomes grey.
    black_HW1 = value_HW1 == 0
    coloured_HW3 = image_HW3 * brighter_HW1 / np.where(black_HW1, 1, value_HW1)
    return np.asarray(np.where(black_HW1, brighter_HW1, coloured_HW3), dtype=np.float32)


def _enlarged(field: Pixels, factor: float) -> Pixels:
    """Between the field's values in straight lines; no shorter than `factor` times its sides."""
    shape = tuple(math.ceil(side * factor) for side in field.shape)
    rows, columns = ((np.arange(side) + 0.5) / factor - 0.5 for side in shape)
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    return np.asarray(ndimage.map_coordinates(field, places, order=1, mode="nearest"))
