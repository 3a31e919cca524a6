"""Digital: contrast, elastic deformation, pixelation, JPEG.

Lengths are published in pixels of a 224 px image; `length` makes them an image's own.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.learning.shifts.pixels import Pixels, length, scale, to_image, to_pixels

CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # of the original's
# Multiples of 244 px, a published slip of the pen for 224. Severities 1 and 2 are not the published
# ones, which deform in another way and more than 3 does; these continue 3 to 5 downwards.
ELASTIC_AMPLITUDE = (244 * 0.025, 244 * 0.035, 244 * 0.05, 244 * 0.07, 244 * 0.12)
ELASTIC_SMOOTHNESS = 244 * 0.01
ELASTIC_CORNERS = 244 * 0.02  # farthest that an affine map's three fixed points go
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the original's side
JPEG_QUALITY = (25, 18, 15, 10, 7)


def contrast(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    mean_3: NDArray[np.float32] = image_HW3.mean(axis=(0, 1))
    return (image_HW3 - mean_3) * np.float32(CONTRAST[severity - 1]) + mean_3


def elastic_transform(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """A smooth random displacement (Simard et al., 2003), and a slight random affine map."""
    height, width = image_HW3.shape[:2]
    smoothness = length(ELASTIC_SMOOTHNESS, image_HW3)
    # Published is the amplitude of uniform noise before it is smoothed. What is seen, and made the
    # image's own, is the displacement afterwards, whose deviation is smaller by 2 sqrt(3 pi) sigma.
    smoothing = math.sqrt(12 * math.pi)
    published = ELASTIC_AMPLITUDE[severity - 1] / ELASTIC_SMOOTHNESS / smoothing
    noise_2HW = rng.uniform(-1, 1, (2, height, width)).astype(np.float32)
    moved_2HW = ndimage.gaussian_filter(noise_2HW, smoothness, axes=(1, 2))
    moved_2HW *= smoothing * smoothness * length(published, image_HW3)
    moves_32 = rng.uniform(-ELASTIC_CORNERS, ELASTIC_CORNERS, (3, 2)) * scale(image_HW3)
    places_2HW = np.indices((height, width), dtype=np.float32) + moved_2HW
    centre_2 = np.array([height, width]) / 2
    corners_32 = centre_2 + min(height, width) / 3 * np.array([[1, 1], [1, -1], [-1, -1]])
    # The map from where a pixel is shown to where it was.
    shown_33 = np.column_stack([corners_32 + moves_32, np.ones(3)])
    affine_32 = np.linalg.solve(shown_33, corners_32).astype(np.float32)
    sources_2HW = np.einsum("ij,ihw->jhw", affine_32[:2], places_2HW) + affine_32[2][:, None, None]
    channels = [
        ndimage.map_coordinates(image_HW3[..., channel], sources_2HW, order=1, mode="mirror")
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1)


def pixelate(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    image = to_image(image_HW3)
    share = PIXELATE[severity - 1]
    few = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    small = image.resize(few, Image.Resampling.BOX)
    return to_pixels(small.resize(image.size, Image.Resampling.BOX))


def jpeg_compression(image_HW3: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    buffer = io.BytesIO()
    to_image(image_HW3).save(buffer, "JPEG", quality=JPEG_QUALITY[severity - 1])
    return to_pixels(Image.open(buffer))
