"""What the families share: an image as numbers, its lengths, what is drawn at 224 px, convolution.

Shapes: (H, W) the image's size, (R, Q) the size it would have with a shorter side of 224 px.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import signal

Pixels = NDArray[np.float32]
"""(H, W, 3) in [0, 1]; a corruption may leave that range, what follows it clips."""

Corruption = Callable[[Pixels, int, np.random.Generator], Pixels]
"""An image, a severity from 1 to 5 and the image's own draws to the corrupted image."""

REFERENCE_SIDE = 224
"""The shorter side that every published length in pixels is meant for."""

_LONGEST_REFERENCE = 8 * REFERENCE_SIDE  # or a strip one pixel high would ask for any memory


def to_pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def to_image(pixels_HW3: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(pixels_HW3, 0, 1) * 255).astype(np.uint8))


def length(published: float, image: Pixels) -> float:
    """A length published for 224 px, in this image's pixels.

    It keeps its place between one pixel and the shorter side on a logarithmic scale: one pixel
    stays one, 224 become the side. A blur then removes the same share of an image's octaves,
    whatever its size. In plain proportion it would be below a pixel in a small image and do
    nothing to it.
    """
    return float(published ** (math.log(min(image.shape[:2])) / math.log(REFERENCE_SIDE)))


def scale(image: Pixels) -> float:
    """Pixels of this image in one pixel of the same image at 224 px, for parts of a frame."""
    return float(min(image.shape[:2]) / REFERENCE_SIDE)


def reference_shape(pixels_HW3: Pixels) -> tuple[int, int]:
    """(R, Q) of an image; a strip is taken for at most eight times as long as it is wide."""
    one = scale(pixels_HW3)
    height, width = (min(round(side / one), _LONGEST_REFERENCE) for side in pixels_HW3.shape[:2])
    return height, width


def from_reference(field_RQ: Pixels, pixels_HW3: Pixels) -> Pixels:
    """A field drawn at 224 px, averaged or interpolated to the image's (H, W)."""
    height, width = pixels_HW3.shape[:2]
    if field_RQ.shape == (height, width):
        return field_RQ
    field = Image.fromarray(np.ascontiguousarray(field_RQ))
    return np.asarray(field.resize((width, height), Image.Resampling.BILINEAR))


def convolved(image: Pixels, kernel: Pixels) -> Pixels:
    """`image`, (H, W) or (H, W, 3), convolved with an odd-sided kernel about its middle.

    Beyond its borders the image continues as its mirror image.
    """
    padding = [(side // 2, side // 2) for side in kernel.shape] + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, padding, mode="symmetric")
    wide = kernel.reshape(kernel.shape + (1,) * (image.ndim - 2))
    return np.asarray(signal.fftconvolve(padded, wide, mode="valid", axes=(0, 1)))
