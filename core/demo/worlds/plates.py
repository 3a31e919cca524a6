"""The plate a sign is painted on: its outline and colours, and how it looks from the road."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import ImageDraw

from core.demo.canvas import Colour
from core.demo.shapes import Point, Shape
from core.demo.worlds.outlines import arc


class Style(NamedTuple):
    """A plate's outline and its colours."""

    outline: str
    ground: Colour
    border: Colour
    ink: Colour


class View(NamedTuple):
    """How a plate is seen: (x, y, 1) @ matrix_33 is a pixel in homogeneous coordinates."""

    matrix_33: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    unit: float

    def pixels(self, points: list[Point]) -> list[Point]:
        """Where points of the plate, which fills about [-1, 1], come to lie in the picture."""
        seen = np.array([(x, y, 1.0) for x, y in points]) @ self.matrix_33
        flat = seen[:, :2] / seen[:, 2:]
        return [(float(x), float(y)) for x, y in flat]


HOME_OUTLINES = ("circle", "triangle", "square", "diamond", "octagon")
HOME_COLOURS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((245, 245, 240), (190, 25, 35), (20, 20, 25)),
    ((25, 80, 170), (240, 240, 245), (240, 240, 245)),
    ((245, 200, 40), (25, 25, 25), (25, 25, 25)),
    ((20, 120, 70), (235, 240, 235), (235, 240, 235)),
    ((180, 30, 35), (245, 240, 235), (245, 240, 235)),
    ((240, 240, 240), (30, 70, 160), (30, 70, 160)),
    ((115, 70, 40), (240, 235, 225), (240, 235, 225)),
)
"""Ground, border and ink of this country's plates."""

ABROAD_OUTLINES = ("shield", "tall", "hexagon", "wide")
ABROAD_COLOURS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((240, 130, 30), (30, 30, 30), (30, 30, 30)),
    ((25, 25, 28), (240, 200, 40), (240, 200, 40)),
    ((110, 60, 140), (240, 235, 245), (240, 235, 245)),
    ((30, 140, 150), (20, 40, 60), (245, 245, 240)),
    ((250, 190, 205), (150, 30, 70), (90, 20, 50)),
)
"""The same of the other country's."""


def usual_style(label: int, *, abroad: bool) -> Style:
    """The plate a country mostly paints pictogram `label` on, each on its own."""
    outlines = ABROAD_OUTLINES if abroad else HOME_OUTLINES
    colours = ABROAD_COLOURS if abroad else HOME_COLOURS
    # The numbers of outlines and colours have no common divisor (5 and 7, 4 and 5), nor one with
    # 3, so that many labels pass before a style comes back: 35 at home, 20 abroad.
    turn = 3 * label
    return Style(outlines[turn % len(outlines)], *colours[turn % len(colours)])


def any_style(rng: np.random.Generator, *, abroad: bool) -> Style:
    """A plate of the country's, whatever it shows."""
    outlines = ABROAD_OUTLINES if abroad else HOME_OUTLINES
    colours = ABROAD_COLOURS if abroad else HOME_COLOURS
    u, v = rng.random(2).tolist()
    return Style(outlines[int(u * len(outlines))], *colours[int(v * len(colours))])


def look(
    rng: np.random.Generator,
    pixels: int,
    *,
    scale: tuple[float, float],
    turn: float,
    slant: float,
) -> View:
    """A view of a plate of half-extent `scale`, turned up to `turn` degrees and seen aslant."""
    u = rng.random(8).tolist()
    unit = pixels * (scale[0] + (scale[1] - scale[0]) * u[0])
    angle = math.radians(turn * (2 * u[1] - 1))
    narrow = 1.0 - 0.4 * slant * u[2]
    shear = slant * 0.35 * (2 * u[3] - 1)
    x, y = pixels * (0.5 + 0.09 * (2 * u[4] - 1)), pixels * (0.48 + 0.09 * (2 * u[5] - 1))
    across = (unit * narrow * math.cos(angle), unit * (math.sin(angle) + shear))
    down = (-unit * math.sin(angle), unit * math.cos(angle))
    tilt = (slant * 0.2 * (2 * u[6] - 1), slant * 0.2 * (2 * u[7] - 1))
    matrix_33 = np.array(
        [
            # A point (a, b) lands at (centre + a across + b down), divided by its distance.
            [across[0] + tilt[0] * x, across[1] + tilt[0] * y, tilt[0]],
            [down[0] + tilt[1] * x, down[1] + tilt[1] * y, tilt[1]],
            [x, y, 1.0],
        ]
    )
    return View(matrix_33, unit)


def paint(draw: ImageDraw.ImageDraw, view: View, style: Style, glyph: Shape) -> None:
    """The plate with its border and pictogram."""
    size, drop = _ROOM[style.outline]
    outline = _OUTLINES[style.outline]
    draw.polygon(view.pixels(outline), fill=style.border)
    inner = [(0.85 * x, 0.85 * (y - drop) + drop) for x, y in outline]
    draw.polygon(view.pixels(inner), fill=style.ground)
    for part in glyph:
        points = view.pixels([(size * x, size * y + drop) for x, y in part.points])
        colour = style.ink if part.role == "body" else style.ground
        if part.width:
            width = max(2, round(part.width * size * view.unit))
            draw.line(points, fill=colour, width=width, joint="curve")
        else:
            draw.polygon(points, fill=colour)


_OUTLINES: dict[str, list[Point]] = {
    "circle": arc(0.0, 0.0, 1.0, 1.0, 0, 345, 24),
    "triangle": [(0.0, -1.05), (1.12, 0.9), (-1.12, 0.9)],
    "square": [(-0.92, -0.92), (0.92, -0.92), (0.92, 0.92), (-0.92, 0.92)],
    "diamond": [(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)],
    "octagon": arc(0.0, 0.0, 1.04, 1.04, 22.5, 337.5, 8),
    "shield": [(-0.9, -1.0), (0.9, -1.0), (0.9, 0.3), (0.0, 1.15), (-0.9, 0.3)],
    "tall": [(-0.8, -1.1), (0.8, -1.1), (0.8, 1.1), (-0.8, 1.1)],
    "hexagon": arc(0.0, 0.0, 1.08, 1.08, 0, 300, 6),
    "wide": [(-1.15, -0.8), (1.15, -0.8), (1.15, 0.8), (-1.15, 0.8)],
}

_ROOM: dict[str, tuple[float, float]] = {
    "circle": (0.62, 0.0),
    "triangle": (0.5, 0.3),
    "square": (0.7, 0.0),
    "diamond": (0.58, 0.0),
    "octagon": (0.66, 0.0),
    "shield": (0.6, -0.15),
    "tall": (0.6, -0.1),
    "hexagon": (0.62, 0.0),
    "wide": (0.58, 0.0),
}
"""The pictogram's half-extent on each plate, and how far below the middle it sits."""
