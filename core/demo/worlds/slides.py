"""How a laboratory keeps its slides: the tint of the water, the magnification, and its habit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.demo.canvas import Colour

TINTS: tuple[Colour, ...] = (
    (236, 240, 240),
    (196, 226, 178),
    (238, 204, 140),
    (168, 206, 240),
    (238, 184, 204),
)
"""Clear, green, brown, blue and rose water, as white light comes through it."""

MAGNIFICATIONS: tuple[tuple[float, float], ...] = ((0.2, 0.25), (0.27, 0.33), (0.36, 0.43))
"""Half of a creature's length in parts of the picture's side: a range for each lens."""


class Slide(NamedTuple):
    """What a picture is taken of and through, by number in `TINTS` and `MAGNIFICATIONS`."""

    tint: int
    magnification: int


def usual_slide(label: int, *, elsewhere: bool) -> Slide:
    """How creature `label` is mostly photographed here, or in the other laboratory.

    No creature has the same tint, or the same magnification, in both.
    """
    # 5 tints and 3 magnifications have no common divisor: a slide comes back after 15 labels.
    if not elsewhere:
        return Slide(label % len(TINTS), label % len(MAGNIFICATIONS))
    tint = label + 1 + label // 5 % 4
    magnification = label + 1 + label // 3 % 2
    return Slide(tint % len(TINTS), magnification % len(MAGNIFICATIONS))


def any_slide(rng: np.random.Generator) -> Slide:
    """A slide of either laboratory, whatever it shows."""
    u, v = rng.random(2).tolist()
    return Slide(int(u * len(TINTS)), int(v * len(MAGNIFICATIONS)))
