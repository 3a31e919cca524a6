"""Eight birds in four pairs: a water bird and a land bird of one build, told apart by details.

Bill, comb, tail, wing and neck differ within a pair; build, proportions and legs do not, so what
stands behind a bird is the easier clue wherever it agrees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.demo.shapes import Part, Shape
from core.demo.worlds.outlines import ellipse, line


def draw_bird(name: str, rng: np.random.Generator) -> Shape:
    """The parts of one bird of class `name`, from back to front."""
    return _BIRDS[name](rng.random(8).tolist())


def _duck(u: list[float]) -> Shape:
    x, y = _stout_head(u)
    return [
        *_legs(-0.1, 0.5, 0.92, 0.07),
        Part([(-0.5, 0.0), (-0.98, -0.1 - 0.3 * u[5]), (-0.6, 0.35)], "body"),
        *_stout_body(u),
        Part([(x + 0.1, y - 0.1), (x + 0.5, y), (x + 0.52, y + 0.12), (x + 0.1, y + 0.14)],
             "accent"),
        _eye(x + 0.06, y - 0.06),
    ]  # fmt: skip


def _hen(u: list[float]) -> Shape:
    x, y = _stout_head(u)
    comb = [(x - 0.2, y - 0.12), (x - 0.16, y - 0.36), (x - 0.04, y - 0.24), (x + 0.02, y - 0.4),
            (x + 0.1, y - 0.24), (x + 0.2, y - 0.3), (x + 0.16, y - 0.1)]  # fmt: skip
    return [
        *_legs(-0.1, 0.5, 0.92, 0.07),
        Part([(-0.4, 0.1), (-0.7, -0.45 - 0.2 * u[5]), (-1.0, -0.3), (-0.6, 0.4)], "body"),
        *_stout_body(u),
        Part(comb, "accent"),
        Part([(x + 0.14, y - 0.06), (x + 0.4, y + 0.05), (x + 0.12, y + 0.13)], "accent"),
        ellipse(x + 0.1, y + 0.22, 0.07, 0.1, "accent"),
        _eye(x + 0.06, y - 0.06),
    ]


def _gull(u: list[float]) -> Shape:
    x, y = _slender_head(u)
    hook = [(x + 0.1, y - 0.08), (x + 0.46, y - 0.02), (x + 0.5, y + 0.16), (x + 0.4, y + 0.07),
            (x + 0.1, y + 0.09)]  # fmt: skip
    return [
        *_legs(-0.05, 0.3, 0.85, 0.06),
        *_slender_body(u),
        Part([(0.25, -0.08), (-0.3, -0.22), (-1.08, 0.02 + 0.1 * u[5]), (-0.25, 0.3)], "accent"),
        Part([(-0.7, -0.1), (-1.08, 0.02 + 0.1 * u[5]), (-0.65, 0.12)], "dark"),
        Part(hook, "accent"),
        _eye(x + 0.04, y - 0.05),
    ]


def _crow(u: list[float]) -> Shape:
    x, y = _slender_head(u)
    return [
        *_legs(-0.05, 0.3, 0.85, 0.06),
        Part([(-0.4, 0.0), (-1.05, 0.12), (-1.0, 0.28 + 0.15 * u[5]), (-0.85, 0.42), (-0.4, 0.3)],
             "body"),
        *_slender_body(u),
        ellipse(-0.15, 0.1, 0.42, 0.16, "accent", turn=12),
        Part([(x + 0.08, y - 0.14), (x + 0.45, y + 0.04), (x + 0.08, y + 0.13)], "dark"),
        _eye(x + 0.04, y - 0.05),
    ]  # fmt: skip


def _heron(u: list[float]) -> Shape:
    neck = [(0.15, -0.02), (0.42, -0.2), (0.16, -0.48), (0.26 + 0.1 * u[0], -0.78)]
    x, y = neck[-1][0] + 0.08, -0.82
    return [
        *_legs(-0.1, 0.15, 1.0, 0.06),
        ellipse(-0.15, 0.0, 0.5, 0.2 + 0.05 * u[1], "body", turn=18),
        ellipse(-0.25, 0.0, 0.34, 0.13, "accent", turn=18),
        line(neck, 0.13),
        ellipse(x, y, 0.16, 0.11, "body"),
        line([(x - 0.05, y - 0.07), (x - 0.4, y - 0.1 - 0.1 * u[2])], 0.06, "dark"),
        Part([(x + 0.1, y - 0.07), (x + 0.6, y + 0.05), (x + 0.1, y + 0.07)], "accent"),
        _eye(x + 0.04, y - 0.02),
    ]


def _ostrich(u: list[float]) -> Shape:
    neck = [(0.15, -0.05), (0.28, -0.4), (0.26 + 0.1 * u[0], -0.78)]
    x, y = neck[-1][0] + 0.06, -0.82
    return [
        *_legs(-0.1, 0.2, 1.0, 0.09),
        ellipse(-0.6, 0.0, 0.22, 0.22, "light"),
        ellipse(-0.15, 0.02, 0.48, 0.27 + 0.06 * u[1], "body"),
        ellipse(-0.25, 0.02, 0.32, 0.18, "accent"),
        line(neck, 0.13),
        ellipse(x, y, 0.16, 0.12, "body"),
        Part([(x + 0.1, y - 0.05), (x + 0.3, y + 0.03), (x + 0.1, y + 0.08)], "accent"),
        _eye(x + 0.04, y - 0.02),
    ]


def _penguin(u: list[float]) -> Shape:
    lift = 0.25 * u[2]
    return [
        *_upright(u),
        line([(-0.3, -0.28), (-0.6, 0.3 - lift)], 0.16),
        line([(0.3, -0.28), (0.6, 0.3 - lift)], 0.16),
        ellipse(0.03, -0.64, 0.27, 0.24, "body"),
        Part([(0.22, -0.74), (0.62, -0.62), (0.22, -0.54)], "accent"),
        _eye(0.12, -0.68),
    ]


def _owl(u: list[float]) -> Shape:
    wide = 0.34 + 0.06 * u[2]
    tufts = [
        Part([(side * wide, -0.6), (side * wide, -1.0), (side * 0.1, -0.8)], "body")
        for side in (-1.0, 1.0)
    ]
    wings = [ellipse(side * 0.4, 0.1, 0.13, 0.46, "accent") for side in (-1.0, 1.0)]
    eyes = [ellipse(side * 0.16, -0.62, 0.15, 0.15, "light") for side in (-1.0, 1.0)]
    return [
        *_upright(u),
        *wings,
        *tufts,
        ellipse(0.0, -0.62, wide + 0.02, 0.26, "body"),
        *eyes,
        *(_eye(side * 0.16, -0.62) for side in (-1.0, 1.0)),
        Part([(-0.07, -0.55), (0.07, -0.55), (0.0, -0.38)], "accent"),
    ]


def _stout_head(u: list[float]) -> tuple[float, float]:
    return 0.4 + 0.12 * u[0], -0.38 - 0.12 * u[1]


def _stout_body(u: list[float]) -> Shape:
    x, y = _stout_head(u)
    return [
        ellipse(-0.05, 0.2, 0.6 + 0.1 * u[2], 0.34 + 0.08 * u[3], "body"),
        line([(0.3, 0.1), (x, y)], 0.26),
        ellipse(x, y, 0.2 + 0.04 * u[4], 0.2 + 0.04 * u[4], "body"),
        ellipse(-0.15, 0.18, 0.34, 0.18, "accent"),
    ]


def _slender_head(u: list[float]) -> tuple[float, float]:
    return 0.5 + 0.1 * u[0], -0.26 - 0.1 * u[1]


def _slender_body(u: list[float]) -> Shape:
    x, y = _slender_head(u)
    return [
        ellipse(-0.05, 0.1, 0.62 + 0.08 * u[2], 0.25 + 0.07 * u[3], "body", turn=-14),
        ellipse(x, y, 0.19 + 0.03 * u[4], 0.18 + 0.03 * u[4], "body"),
    ]


def _upright(u: list[float]) -> Shape:
    return [
        ellipse(-0.17, 0.88, 0.16, 0.07, "accent"),
        ellipse(0.17, 0.88, 0.16, 0.07, "accent"),
        ellipse(0.0, 0.12, 0.42 + 0.06 * u[0], 0.72, "body"),
        ellipse(0.0, 0.22, 0.26 + 0.06 * u[1], 0.5, "light"),
    ]


def _legs(x: float, top: float, bottom: float, width: float) -> Shape:
    legs = []
    for at in (x - 0.08, x + 0.14):
        legs.append(line([(at, top), (at, bottom), (at + 0.16, bottom)], width, "dark"))
    return legs


def _eye(x: float, y: float) -> Part:
    return ellipse(x, y, 0.06, 0.06, "dark")


_BIRDS: dict[str, Callable[[list[float]], Shape]] = {
    "crow": _crow,
    "duck": _duck,
    "gull": _gull,
    "hen": _hen,
    "heron": _heron,
    "ostrich": _ostrich,
    "owl": _owl,
    "penguin": _penguin,
}

BIRDS: tuple[str, ...] = tuple(_BIRDS)
"""Class names, in label order."""

WATER_BIRDS = frozenset({"duck", "gull", "heron", "penguin"})
"""The birds whose usual place is water; that of the others is land."""
