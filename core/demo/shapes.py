"""The things in the drawn world: 25 objects, each a short list of outlines with a role.

A shape knows geometry only. Coordinates lie in about [-1, 1] with y pointing down; colours, line
widths and textures belong to the domain that draws it (`styles.py`). Every shape takes a generator
so that no two cups are the same cup, and returns its parts from back to front.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

Point = tuple[float, float]
Role = Literal["body", "accent", "light", "dark"]


class Part(NamedTuple):
    """One outline: a filled polygon, or a line of `width` when that is above zero."""

    points: list[Point]
    role: Role
    width: float = 0.0


Shape = list[Part]


def draw_shape(name: str, rng: np.random.Generator) -> Shape:
    """The parts of one object of class `name`, its proportions drawn from `rng`."""
    return _SHAPES[name](rng.random(8).tolist())


def _airplane(u: list[float]) -> Shape:
    span = 0.75 + 0.25 * u[0]
    body = 0.13 + 0.07 * u[1]
    sweep = 0.25 + 0.3 * u[2]
    wing = [(0.2, 0.0), (-0.25, 0.0), (-0.15 - sweep, -span), (0.05 - sweep, -span)]
    tail = [(-0.65, 0.0), (-0.9, 0.0), (-1.0, -0.4), (-0.85, -0.4)]
    return [
        Part(wing, "accent"),
        Part(_mirror_y(wing), "accent"),
        Part(tail, "accent"),
        Part(_mirror_y(tail), "accent"),
        _ellipse(0.0, 0.0, 1.0, body, "body"),
        _ellipse(0.75, 0.0, 0.1, body * 0.6, "dark"),
    ]


def _apple(u: list[float]) -> Shape:
    width = 0.42 + 0.1 * u[0]
    height = 0.68 + 0.12 * u[1]
    left = _arc(-0.32, 0.15, width, height, 60, 300)
    right = _arc(0.32, 0.15, width, height, -120, 120)
    return [
        Part(left + right, "body"),
        Part([(0.0, -0.45), (0.05 + 0.2 * u[2], -0.95)], "dark", 0.12),
        Part([(0.08, -0.65), (0.35, -0.95), (0.7, -0.85), (0.45, -0.6)], "accent"),
    ]


def _bird(u: list[float]) -> Shape:
    fat = 0.38 + 0.12 * u[0]
    head = 0.26 + 0.06 * u[1]
    reach = 0.6 + 0.2 * u[2]
    return [
        Part([(-0.4, 0.0), (-1.0, -0.25 - 0.2 * u[3]), (-0.95, 0.2)], "accent"),
        Part([(-0.1, 0.4), (-0.15, 0.95), (-0.3, 0.95)], "dark", 0.07),
        Part([(0.15, 0.4), (0.1, 0.95), (-0.05, 0.95)], "dark", 0.07),
        _ellipse(-0.05, 0.1, reach, fat, "body"),
        Part([(0.7, -0.5), (1.05, -0.38), (0.7, -0.25)], "accent"),
        _ellipse(0.5, -0.4, head, head, "body"),
        _ellipse(0.58, -0.47, 0.07, 0.07, "dark"),
        _ellipse(-0.15, 0.05, 0.38, 0.2, "accent"),
    ]


def _bottle(u: list[float]) -> Shape:
    wide = 0.3 + 0.12 * u[0]
    neck = 0.11 + 0.05 * u[1]
    shoulder = -0.3 + 0.25 * u[2]
    side = [(wide, 1.0), (wide, shoulder + 0.15), (neck, shoulder - 0.15), (neck, -0.9)]
    return [
        Part(_mirror_x(side) + side[::-1], "body"),
        _rectangle(-neck - 0.03, -1.0, neck + 0.03, -0.82, "dark"),
        _rectangle(-wide, 0.2, wide, 0.65, "light"),
    ]


def _bus(u: list[float]) -> Shape:
    top = -0.5 - 0.1 * u[0]
    count = 3 + int(2.99 * u[1])
    step = 1.6 / count
    windows = [
        _rectangle(-0.85 + i * step, top + 0.15, -0.85 + i * step + step * 0.75, -0.02, "light")
        for i in range(count)
    ]
    return [
        _rectangle(-1.0, top, 1.0, 0.5, "body"),
        *windows,
        _rectangle(-1.0, 0.15, 1.0, 0.27, "accent"),
        _ellipse(-0.55, 0.52, 0.2, 0.2, "dark"),
        _ellipse(0.55, 0.52, 0.2, 0.2, "dark"),
    ]


def _butterfly(u: list[float]) -> Shape:
    upper = 0.42 + 0.1 * u[0]
    lower = 0.3 + 0.08 * u[1]
    wings = [_ellipse(side * 0.5, -0.35, upper, upper * 1.1, "body") for side in (-1.0, 1.0)] + [
        _ellipse(side * 0.42, 0.45, lower, lower * 1.2, "accent") for side in (-1.0, 1.0)
    ]
    spots = [_ellipse(side * 0.55, -0.38, 0.16, 0.18, "light") for side in (-1.0, 1.0)]
    return [
        *wings,
        *spots,
        _ellipse(0.0, 0.05, 0.1, 0.65, "dark"),
        Part([(0.0, -0.5), (-0.25, -1.0)], "dark", 0.06),
        Part([(0.0, -0.5), (0.25, -1.0)], "dark", 0.06),
    ]


def _car(u: list[float]) -> Shape:
    roof = -0.5 - 0.12 * u[0]
    front = 0.35 + 0.25 * u[1]
    back = -0.55 - 0.25 * u[2]
    cabin = [(back, 0.0), (back + 0.22, roof), (front - 0.3, roof), (front, 0.0)]
    glass = [(back + 0.15, -0.02), (back + 0.28, roof + 0.1), (front - 0.33, roof + 0.1)]
    return [
        Part(cabin, "body"),
        Part([*glass, (front - 0.12, -0.02)], "light"),
        Part([(-1.0, -0.05), (0.8, -0.05), (1.0, 0.1), (1.0, 0.4), (-1.0, 0.4)], "body"),
        _ellipse(-0.55, 0.42, 0.23, 0.23, "dark"),
        _ellipse(0.55, 0.42, 0.23, 0.23, "dark"),
        _ellipse(0.93, 0.14, 0.07, 0.07, "light"),
    ]


def _cat(u: list[float]) -> Shape:
    wide = 0.72 + 0.12 * u[0]
    ear = 0.85 + 0.15 * u[1]
    eye = 0.12 + 0.05 * u[2]
    parts = [
        Part([(side * 0.78, -0.1), (side * 0.7, -ear), (side * 0.15, -0.5)], "body")
        for side in (-1.0, 1.0)
    ]
    parts.append(_ellipse(0.0, 0.15, wide, 0.68, "body"))
    parts += [_ellipse(side * 0.32, 0.0, eye, 0.15, "light") for side in (-1.0, 1.0)]
    parts += [_ellipse(side * 0.32, 0.0, 0.06, 0.13, "dark") for side in (-1.0, 1.0)]
    parts.append(Part([(-0.12, 0.25), (0.12, 0.25), (0.0, 0.4)], "dark"))
    for side in (-1.0, 1.0):
        parts.append(Part([(side * 0.25, 0.38), (side * 1.0, 0.28)], "dark", 0.05))
        parts.append(Part([(side * 0.25, 0.48), (side * 0.95, 0.6)], "dark", 0.05))
    return parts


def _chair(u: list[float]) -> Shape:
    seat = 0.05 + 0.15 * u[0]
    leg = 0.1 + 0.05 * u[1]
    lean = 0.15 * u[2]
    parts = [
        Part([(-0.55, seat), (-0.55 - lean, -1.0), (-0.35 - lean, -1.0), (-0.35, seat)], "body"),
        _rectangle(-0.58, seat, 0.6, seat + 0.2, "accent"),
        _rectangle(-0.55, seat + 0.2, -0.55 + leg, 1.0, "body"),
        _rectangle(0.55 - leg, seat + 0.2, 0.55, 1.0, "body"),
    ]
    if u[3] < 0.5:
        parts.append(_rectangle(-0.55, 0.55, 0.55, 0.63, "dark"))
    return parts


def _clock(u: list[float]) -> Shape:
    hour, minute = 2 * math.pi * u[0], 2 * math.pi * u[1]
    ticks = [
        Part([_polar(0.62, angle), _polar(0.76, angle)], "dark", 0.07)
        for angle in (math.pi / 2 * i for i in range(4))
    ]
    parts = [
        _ellipse(0.0, 0.0, 0.97, 0.97, "body"),
        _ellipse(0.0, 0.0, 0.8, 0.8, "light"),
        *ticks,
        Part([(0.0, 0.0), _polar(0.4, hour)], "dark", 0.13),
        Part([(0.0, 0.0), _polar(0.62, minute)], "dark", 0.09),
    ]
    return parts


def _crown(u: list[float]) -> Shape:
    peak = -0.65 - 0.15 * u[0]
    valley = -0.1 + 0.15 * u[1]
    spikes = [
        (-0.95, 0.6), (-1.0, peak + 0.1), (-0.45, valley), (0.0, peak - 0.1),
        (0.45, valley), (1.0, peak + 0.1), (0.95, 0.6),
    ]  # fmt: skip
    tips = [_ellipse(x, y, 0.12, 0.12, "accent") for x, y in (spikes[1], spikes[3], spikes[5])]
    return [
        Part(spikes, "body"),
        _rectangle(-0.95, 0.35, 0.95, 0.62, "accent"),
        *tips,
        _ellipse(0.0, 0.48, 0.1, 0.1, "light"),
    ]


def _cup(u: list[float]) -> Shape:
    top = 0.55 + 0.1 * u[0]
    bottom = 0.35 + 0.15 * u[1]
    handle = _arc(0.55, 0.1, 0.38, 0.32 + 0.08 * u[2], -95, 95)
    parts = [
        Part(handle, "body", 0.16),
        Part([(-top, -0.45), (top, -0.45), (bottom, 0.75), (-bottom, 0.75)], "body"),
        _ellipse(0.0, -0.45, top, 0.14, "dark"),
    ]
    if u[3] < 0.5:
        steam: list[Point] = [(-0.1, -0.65), (0.05, -0.75), (-0.08, -0.88), (0.05, -1.0)]
        parts.append(Part(steam, "light", 0.08))
    if u[4] < 0.5:
        parts.append(_rectangle(-0.42, 0.05, 0.42, 0.25, "accent"))
    return parts


def _fish(u: list[float]) -> Shape:
    fat = 0.36 + 0.16 * u[0]
    tail = 0.35 + 0.15 * u[1]
    return [
        Part([(-0.45, 0.0), (-1.0, -tail), (-0.85, 0.0), (-1.0, tail)], "accent"),
        Part([(-0.15, -fat * 0.8), (0.1, -fat - 0.3), (0.35, -fat * 0.75)], "accent"),
        _ellipse(0.15, 0.0, 0.8, fat, "body"),
        Part([(0.05, 0.05), (-0.25, 0.25), (-0.2, -0.05)], "accent"),
        _ellipse(0.62, -0.08, 0.09, 0.09, "light"),
        _ellipse(0.64, -0.08, 0.05, 0.05, "dark"),
    ]


def _flower(u: list[float]) -> Shape:
    count = 5 + int(2.99 * u[0])
    petal = 0.25 + 0.06 * u[1]
    turn = 2 * math.pi * u[2]
    petals = []
    for i in range(count):
        x, y = _polar(0.38, turn + 2 * math.pi * i / count)
        petals.append(_ellipse(x, y - 0.4, petal, petal, "body"))
    return [
        Part([(0.0, -0.3), (0.1 * u[3], 1.0)], "dark", 0.1),
        Part([(0.02, 0.7), (0.3, 0.3), (0.55, 0.35), (0.35, 0.6)], "dark"),
        *petals,
        _ellipse(0.0, -0.4, 0.2, 0.2, "accent"),
    ]


def _guitar(u: list[float]) -> Shape:
    lower = 0.48 + 0.08 * u[0]
    upper = 0.34 + 0.06 * u[1]
    return [
        _rectangle(-0.08, -0.9, 0.08, 0.3, "dark"),
        _rectangle(-0.15, -1.0, 0.15, -0.8, "accent"),
        _ellipse(0.0, 0.08, upper, 0.3, "body"),
        _ellipse(0.0, 0.55, lower, 0.43, "body"),
        _ellipse(0.0, 0.28, 0.15, 0.15, "dark"),
        _rectangle(-0.2, 0.65, 0.2, 0.73, "dark"),
    ]


def _hammer(u: list[float]) -> Shape:
    thick = 0.09 + 0.05 * u[0]
    head = 0.5 + 0.15 * u[1]
    claw = [(-0.1, -0.95), (-0.1, -0.55), (-head - 0.1, -0.45), (-head + 0.05, -0.78)]
    return [
        _rectangle(-thick, -0.6, thick, 1.0, "accent"),
        Part(claw, "body"),
        _rectangle(-0.15, -0.95, 0.4, -0.52, "body"),
        _rectangle(0.35, -1.0, head, -0.47, "body"),
    ]


def _house(u: list[float]) -> Shape:
    wall = 0.6 + 0.15 * u[0]
    eaves = -0.15 + 0.15 * u[1]
    parts = [
        _rectangle(-wall, eaves, wall, 0.85, "body"),
        Part([(-wall - 0.2, eaves), (0.0, -0.9), (wall + 0.2, eaves)], "accent"),
        _rectangle(-0.15, 0.35, 0.15, 0.85, "dark"),
        _rectangle(0.28, 0.2, 0.5, 0.42, "light"),
        _rectangle(-0.5, 0.2, -0.28, 0.42, "light"),
    ]
    if u[2] < 0.6:
        parts.insert(0, _rectangle(0.3, -0.85, 0.5, -0.2, "dark"))
    return parts


def _key(u: list[float]) -> Shape:
    ring = 0.32 + 0.08 * u[0]
    teeth = [
        _rectangle(x, 0.05, x + 0.12, 0.3 + 0.12 * u[1 + i], "body")
        for i, x in enumerate((0.5, 0.72, 0.9)[: 2 + int(1.99 * u[4])])
    ]
    return [
        Part(_arc(-0.58, 0.0, ring, ring, 0, 372), "body", 0.2),
        _rectangle(-0.22, -0.1, 1.0, 0.1, "body"),
        *teeth,
    ]


def _mushroom(u: list[float]) -> Shape:
    wide = 0.75 + 0.2 * u[0]
    tall = 0.7 + 0.2 * u[1]
    stem = 0.2 + 0.1 * u[2]
    cap = _arc(0.0, 0.05, wide, tall, 180, 360)
    spots = [(-0.4, -0.2, 0.13), (0.1, -0.42, 0.15), (0.48, -0.15, 0.11)]
    return [
        Part([(-stem, 0.0), (stem, 0.0), (stem + 0.1, 0.95), (-stem - 0.1, 0.95)], "light"),
        Part(cap, "body"),
        *(_ellipse(x, y, radius, radius, "light") for x, y, radius in spots),
    ]


def _pear(u: list[float]) -> Shape:
    top = 0.25 + 0.06 * u[0]
    low = 0.55 + 0.1 * u[1]
    outline = _arc(0.0, -0.4, top, 0.3, 190, 350) + _arc(0.0, 0.4, low, 0.55, -20, 200)
    return [
        Part(outline, "body"),
        Part([(0.0, -0.65), (0.1 - 0.2 * u[2], -1.0)], "dark", 0.1),
        Part([(0.02, -0.75), (0.25, -0.98), (0.5, -0.85), (0.3, -0.7)], "accent"),
    ]


def _rocket(u: list[float]) -> Shape:
    wide = 0.26 + 0.08 * u[0]
    fin = 0.55 + 0.15 * u[1]
    flame = 0.85 + 0.15 * u[2]
    side = [(wide, 0.5), (wide, -0.3), (wide * 0.65, -0.7), (0.0, -1.0)]
    return [
        Part([(-0.16, 0.5), (0.16, 0.5), (0.0, flame + 0.1)], "light"),
        Part([(wide - 0.03, 0.05), (fin, 0.45), (fin, 0.7), (wide - 0.03, 0.5)], "accent"),
        Part([(-wide + 0.03, 0.05), (-fin, 0.45), (-fin, 0.7), (-wide + 0.03, 0.5)], "accent"),
        Part(_mirror_x(side) + side[::-1], "body"),
        _ellipse(0.0, -0.25, 0.14, 0.14, "light"),
    ]


def _sailboat(u: list[float]) -> Shape:
    mast = -0.9 - 0.1 * u[0]
    jib = 0.45 + 0.2 * u[1]
    main = 0.6 + 0.2 * u[2]
    return [
        Part([(0.0, mast), (0.0, 0.5)], "dark", 0.08),
        Part([(0.07, mast + 0.1), (main + 0.07, 0.35), (0.07, 0.35)], "light"),
        Part([(-0.07, mast + 0.25), (-0.07, 0.35), (-jib - 0.07, 0.35)], "accent"),
        Part([(-0.95, 0.48), (0.95, 0.48), (0.6, 0.9), (-0.65, 0.9)], "body"),
    ]


def _star(u: list[float]) -> Shape:
    inner = 0.4 + 0.1 * u[0]
    turn = -math.pi / 2
    points = [_polar(1.0 if i % 2 == 0 else inner, turn + math.pi * i / 5) for i in range(10)]
    return [Part(points, "body")]


def _tree(u: list[float]) -> Shape:
    trunk = 0.1 + 0.06 * u[0]
    parts = [_rectangle(-trunk, 0.2, trunk, 1.0, "dark")]
    if u[1] < 0.4:
        for top, low, wide in ((-1.0, -0.3, 0.4), (-0.65, 0.1, 0.55), (-0.3, 0.55, 0.7)):
            parts.append(Part([(0.0, top), (wide, low), (-wide, low)], "body"))
        return parts
    radius = 0.4 + 0.1 * u[2]
    for x, y in ((-0.38, -0.1), (0.38, -0.1), (0.0, -0.5)):
        parts.append(_ellipse(x, y, radius, radius, "body"))
    return parts


def _umbrella(u: list[float]) -> Shape:
    wide = 0.85 + 0.15 * u[0]
    tall = 0.65 + 0.15 * u[1]
    dome = _arc(0.0, 0.0, wide, tall, 180, 360)
    scallops: list[Point] = []
    for i in range(4):
        centre = wide - wide / 4 - i * wide / 2
        scallops += _arc(centre, 0.0, wide / 4, -0.14, 0, 180, 5)
    hook = _arc(-0.16, 0.75, 0.16, 0.2, 0, 180, 8)
    return [
        Part([(0.0, -0.85), (0.0, 0.75), *hook], "dark", 0.09),
        Part(dome + scallops, "body"),
        Part([(0.0, -tall), (wide / 4, -0.05), (-wide / 4, -0.05)], "accent"),
    ]


def _ellipse(x: float, y: float, rx: float, ry: float, role: Role) -> Part:
    count = 8 if max(abs(rx), abs(ry)) < 0.2 else 18
    return Part(_arc(x, y, rx, ry, 0.0, 360.0 * (count - 1) / count, count), role)


def _rectangle(left: float, top: float, right: float, bottom: float, role: Role) -> Part:
    return Part([(left, top), (right, top), (right, bottom), (left, bottom)], role)


def _arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, count: int = 14
) -> list[Point]:
    """Points from `start` to `end` degrees, clockwise from the right as y points down."""
    step = math.radians(end - start) / (count - 1)
    first = math.radians(start)
    return [
        (x + rx * math.cos(first + step * i), y + ry * math.sin(first + step * i))
        for i in range(count)
    ]


def _polar(radius: float, angle: float) -> Point:
    return (radius * math.cos(angle), radius * math.sin(angle))


def _mirror_x(points: list[Point]) -> list[Point]:
    return [(-x, y) for x, y in points]


def _mirror_y(points: list[Point]) -> list[Point]:
    return [(x, -y) for x, y in points]


_SHAPES: dict[str, Callable[[list[float]], Shape]] = {
    "airplane": _airplane,
    "apple": _apple,
    "bird": _bird,
    "bottle": _bottle,
    "bus": _bus,
    "butterfly": _butterfly,
    "car": _car,
    "cat": _cat,
    "chair": _chair,
    "clock": _clock,
    "crown": _crown,
    "cup": _cup,
    "fish": _fish,
    "flower": _flower,
    "guitar": _guitar,
    "hammer": _hammer,
    "house": _house,
    "key": _key,
    "mushroom": _mushroom,
    "pear": _pear,
    "rocket": _rocket,
    "sailboat": _sailboat,
    "star": _star,
    "tree": _tree,
    "umbrella": _umbrella,
}

CLASSES: tuple[str, ...] = tuple(_SHAPES)
"""Class names, in label order."""
