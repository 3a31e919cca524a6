"""Ice on a window pane: feathers of branching crystals over a haze.

It stands in for the photographs that ImageNet-C's frost is made of. Its mean brightness and
contrast are about theirs.

Shapes: (R, Q) the pane, F feathers, S branches to a side of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from core.learning.shifts.pixels import REFERENCE_SIDE, Pixels
from core.learning.shifts.plasma import plasma

FEATHERS = 44  # on a square pane of 224 px
LENGTH = (40, 130)  # of a feather's stem, pixels
BEND = 0.6  # of a stem to either side, radians
BRANCHES = 17  # to each side of a stem
BRANCH_ANGLE = np.pi / 3  # ice is hexagonal
BRANCH_SHARE = 0.35  # of the longest branch in its stem
WHITE = (110, 255)  # of a stem, of 255
HAZE_DECAY = 1.6


def ice(shape: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """How white the pane is, in [0, 1], of the given (R, Q)."""
    haze_RQ = plasma(shape, HAZE_DECAY, rng)
    crystals_RQ = ndimage.gaussian_filter(_feathers(shape, rng), 0.8)
    return np.clip(0.2 + 0.55 * haze_RQ + 0.6 * crystals_RQ, 0, 1)


def _feathers(shape: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Slightly curved stems with branches to both sides, the shorter the nearer the tip."""
    rows, columns = shape
    count = round(FEATHERS * rows * columns / REFERENCE_SIDE**2)
    roots_F12 = rng.uniform(0, 1, (count, 1, 2)) * (columns, rows)
    lengths_F1 = rng.uniform(*LENGTH, (count, 1))
    along_S = np.arange(BRANCHES) / BRANCHES
    bends_F1 = rng.uniform(-BEND, BEND, (count, 1))
    angles_FS = rng.uniform(0, 2 * np.pi, (count, 1)) + bends_F1 * along_S
    steps_FS2 = _towards(angles_FS, lengths_F1 / BRANCHES)
    stems_FS2 = roots_F12 + np.cumsum(steps_FS2, axis=1)
    strokes = []
    for side in (-1, 1):
        reach_FS = lengths_F1 * BRANCH_SHARE * (1 - along_S) * rng.uniform(0.5, 1, angles_FS.shape)
        tips_FS2 = stems_FS2 + _towards(angles_FS + side * BRANCH_ANGLE, reach_FS)
        # Out to each tip and back in one stroke: a call a branch costs more than its pixels.
        strokes.append(np.stack([stems_FS2, tips_FS2, stems_FS2], axis=2))
    whites = rng.integers(*WHITE, count, endpoint=True).tolist()
    pane = Image.new("L", (columns, rows), 0)
    draw = ImageDraw.Draw(pane)
    for stem_S2, left, right, white in zip(stems_FS2, *strokes, whites, strict=True):
        draw.line(left.ravel().tolist(), fill=white * 3 // 4, width=1)
        draw.line(right.ravel().tolist(), fill=white * 3 // 4, width=1)
        draw.line(stem_S2.ravel().tolist(), fill=white, width=2)
    return np.asarray(pane, dtype=np.float32) / np.float32(255)


def _towards(angles: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps (..., 2) across and down."""
    return np.stack([distances * np.cos(angles), distances * np.sin(angles)], axis=-1)
