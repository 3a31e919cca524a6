"""Sixteen pictograms of one ink, as road signs carry them.

`body` is ink and `light` a gap that shows the plate. Some are kin on purpose (the five arrows,
bridge and tunnel, bicycle and pump): details tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from core.demo.shapes import Part, Point, Shape
from core.demo.worlds.outlines import arc, box, ellipse, line


def draw_glyph(name: str, rng: np.random.Generator) -> Shape:
    """The parts of one pictogram of class `name`; weight and proportions vary."""
    return _GLYPHS[name](rng.random(4).tolist())


def _anchor(u: list[float]) -> Shape:
    pen = 0.17 + 0.06 * u[0]
    reach = 0.7 + 0.15 * u[1]
    return [
        line(arc(0.0, -0.72, 0.17, 0.17, 0, 360), pen * 0.8),
        line([(0.0, -0.55), (0.0, 0.85)], pen),
        line([(-0.4, -0.3), (0.4, -0.3)], pen),
        line(arc(0.0, 0.15, reach, 0.7, 10, 170), pen),
        Part([(reach - 0.22, 0.3), (reach + 0.05, 0.0), (reach + 0.22, 0.4)], "body"),
        Part([(0.22 - reach, 0.3), (-reach - 0.05, 0.0), (-reach - 0.22, 0.4)], "body"),
    ]


def _arrow(u: list[float]) -> Shape:
    pen = 0.2 + 0.08 * u[0]
    return [line([(0.0, 0.95), (0.0, -0.4)], pen), *_head((0.0, -0.95), -90, 0.5 + 0.1 * u[1])]


def _bend(u: list[float]) -> Shape:
    pen = 0.2 + 0.08 * u[0]
    low = -0.25 + 0.2 * u[1]
    shaft = [(-0.5, 0.95), (-0.5, low + 0.3), *arc(-0.2, low + 0.3, 0.3, 0.3, 180, 270, 5)]
    return [line([*shaft, (0.35, low)], pen), *_head((0.95, low), 0, 0.5)]


def _bicycle(u: list[float]) -> Shape:
    pen = 0.1 + 0.04 * u[0]
    wheel = 0.36 + 0.06 * u[1]
    return [
        line(arc(-0.55, 0.35, wheel, wheel, 0, 360, 16), pen),
        line(arc(0.55, 0.35, wheel, wheel, 0, 360, 16), pen),
        line([(-0.55, 0.35), (-0.2, -0.3), (0.4, -0.3), (0.0, 0.35), (-0.55, 0.35)], pen),
        line([(0.0, 0.35), (-0.25, -0.45), (-0.4, -0.48), (-0.1, -0.48)], pen),
        line([(0.55, 0.35), (0.35, -0.6), (0.6, -0.68)], pen),
    ]


def _bridge(u: list[float]) -> Shape:
    deck = -0.25 + 0.15 * u[0]
    foot = 0.75
    return [
        box(-1.0, deck, 1.0, deck + 0.22 + 0.06 * u[1]),
        Part([(-1.0, deck), (-1.0, foot), *arc(-0.5, foot, 0.35, foot - deck - 0.35, 180, 360),
              *arc(0.5, foot, 0.35, foot - deck - 0.35, 180, 360), (1.0, foot), (1.0, deck)],
             "body"),
        *(line([(x, deck), (x, deck - 0.3)], 0.1) for x in (-0.9, -0.45, 0.0, 0.45, 0.9)),
        line([(-1.0, deck - 0.32), (1.0, deck - 0.32)], 0.1),
    ]  # fmt: skip


def _cross(u: list[float]) -> Shape:
    pen = 0.2 + 0.1 * u[0]
    reach = 0.8 + 0.15 * u[1]
    return [line([(0.0, -reach), (0.0, reach)], pen), line([(-reach, 0.0), (reach, 0.0)], pen)]


def _fork(u: list[float]) -> Shape:
    pen = 0.18 + 0.06 * u[0]
    split = 0.2 + 0.2 * u[1]
    return [
        line([(0.0, 0.95), (0.0, split)], pen * 1.1),
        line([(0.0, split), (0.5, -0.45)], pen),
        line([(0.0, split), (-0.5, -0.45)], pen),
        *_head((0.72, -0.85), -61, 0.38),
        *_head((-0.72, -0.85), -119, 0.38),
    ]


def _merge(u: list[float]) -> Shape:
    pen = 0.18 + 0.06 * u[0]
    join = -0.2 + 0.2 * u[1]
    return [
        line([(0.0, join), (0.0, -0.45)], pen * 1.1),
        line([(0.6, 0.95), (0.0, join)], pen),
        line([(-0.6, 0.95), (0.0, join)], pen),
        *_head((0.0, -0.95), -90, 0.45),
    ]


def _moon(u: list[float]) -> Shape:
    thick = 0.25 + 0.2 * u[0]
    outer = arc(0.0, 0.0, 0.9, 0.9, 50, 310, 18)
    inner = arc(thick, 0.0, 0.72, 0.68, 300, 60, 14)
    return [Part(outer + inner, "body")]


def _pump(u: list[float]) -> Shape:
    right = 0.2 + 0.1 * u[0]
    pen = 0.12 + 0.04 * u[1]
    return [
        box(-0.65, -0.85, right, 0.75),
        box(-0.48, -0.68, right - 0.17, -0.2, "light"),
        box(-0.8, 0.72, right + 0.15, 0.92),
        line([(right, 0.0), (right + 0.2, 0.0), (right + 0.22, 0.5), (0.75, 0.5), (0.75, -0.3),
              (0.5, -0.65)], pen),
    ]  # fmt: skip


def _roundabout(u: list[float]) -> Shape:
    pen = 0.17 + 0.05 * u[0]
    turn = 120 * u[1]
    parts: Shape = []
    for start in (turn, turn + 120, turn + 240):
        curve = arc(0.0, 0.0, 0.66, 0.66, start, start + 68, 7)
        end = math.radians(start + 112)
        tip = (0.68 * math.cos(end), 0.68 * math.sin(end))
        parts += [line(curve, pen), *_head(tip, start + 186, 0.36)]
    return parts


def _snowflake(u: list[float]) -> Shape:
    pen = 0.11 + 0.05 * u[0]
    branch = 0.5 + 0.12 * u[1]
    parts: Shape = []
    for i in range(6):
        angle = math.pi / 3 * i + math.pi / 6
        x, y = math.cos(angle), math.sin(angle)
        parts.append(line([(0.0, 0.0), (0.95 * x, 0.95 * y)], pen))
        for side in (-0.8, 0.8):
            tip = (branch * x + 0.32 * math.cos(angle + side),
                   branch * y + 0.32 * math.sin(angle + side))  # fmt: skip
            parts.append(line([(branch * x, branch * y), tip], pen))
    return parts


def _stairs(u: list[float]) -> Shape:
    count = 3 + int(1.99 * u[0])
    step = 1.7 / count
    outline: list[Point] = [(-0.85, 0.85)]
    for i in range(count):
        outline += [(-0.85 + i * step, 0.85 - (i + 1) * step),
                    (-0.85 + (i + 1) * step, 0.85 - (i + 1) * step)]  # fmt: skip
    if u[1] < 0.5:
        return [Part([*outline, (0.85, 0.85)], "body")]
    return [line(outline, 0.2)]


def _tent(u: list[float]) -> Shape:
    wide = 0.8 + 0.18 * u[0]
    door = 0.22 + 0.12 * u[1]
    return [
        Part([(-wide, 0.75), (0.0, -0.75), (wide, 0.75)], "body"),
        Part([(-door, 0.76), (0.0, -0.05), (door, 0.76)], "light"),
        line([(0.0, -0.7), (0.14, -0.95)], 0.12),
        line([(0.0, -0.7), (-0.14, -0.95)], 0.12),
    ]


def _tunnel(u: list[float]) -> Shape:
    inner = 0.52 + 0.1 * u[0]
    wall = arc(0.0, 0.05, 0.92, 0.9, 180, 360, 14)
    hole = arc(0.0, 0.1, inner, inner + 0.05, 180, 360, 10)
    road = 0.1 + 0.08 * u[1]
    return [
        Part([(-0.92, 0.85), *wall, (0.92, 0.85)], "body"),
        Part([(-inner, 0.86), *hole, (inner, 0.86)], "light"),
        Part([(-road - 0.15, 0.86), (-0.06, 0.1), (0.06, 0.1), (road + 0.15, 0.86)], "body"),
    ]


def _wrench(u: list[float]) -> Shape:
    pen = 0.24 + 0.08 * u[0]
    jaw = 0.3 + 0.05 * u[1]
    return [
        line([(-0.6, 0.6), (0.45, -0.45)], pen),
        ellipse(-0.62, 0.62, jaw, jaw, "body"),
        ellipse(0.55, -0.55, jaw + 0.08, jaw + 0.08, "body"),
        Part([(0.42, -0.6), (0.85, -1.05), (1.05, -0.85), (0.6, -0.42)], "light"),
        ellipse(-0.62, 0.62, 0.12, 0.12, "light"),
    ]


def _head(tip: Point, direction: float, size: float) -> Shape:
    """An arrow's head at `tip`, pointing `direction` degrees clockwise from the right."""
    angle = math.radians(direction)
    along, aside = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    back = [
        (tip[0] - size * 1.1 * along[0] + side * size * aside[0],
         tip[1] - size * 1.1 * along[1] + side * size * aside[1]) for side in (-0.85, 0.85)
    ]  # fmt: skip
    return [Part([tip, *back], "body")]


_GLYPHS: dict[str, Callable[[list[float]], Shape]] = {
    "anchor": _anchor,
    "arrow": _arrow,
    "bend": _bend,
    "bicycle": _bicycle,
    "bridge": _bridge,
    "cross": _cross,
    "fork": _fork,
    "merge": _merge,
    "moon": _moon,
    "pump": _pump,
    "roundabout": _roundabout,
    "snowflake": _snowflake,
    "stairs": _stairs,
    "tent": _tent,
    "tunnel": _tunnel,
    "wrench": _wrench,
}

GLYPHS: tuple[str, ...] = tuple(_GLYPHS)
"""Class names, in label order."""
