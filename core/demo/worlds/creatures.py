"""Sixteen small creatures of ponds and seas, as a microscope shows them: outline and organs.

`body` is what the membrane holds, `accent` chloroplasts, guts and eggs, `light` vacuoles and holes,
`dark` nuclei, eyes, bristles and seams. Some are kin on purpose (the spheres volvox and radiolaria,
the spindles diatom, euglena and paramecium, the trumpets stentor, rotifer and hydra): organs and
limbs tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from core.demo.shapes import Part, Point, Role, Shape
from core.demo.worlds.outlines import arc, ellipse, line


def draw_creature(name: str, rng: np.random.Generator) -> Shape:
    """The parts of one creature of class `name`; proportions and organs vary."""
    return _CREATURES[name](rng.random(8).tolist())


def _amoeba(u: list[float]) -> Shape:
    lobes = 3 + int(2.99 * u[0])
    reach = 0.2 + 0.1 * u[1]
    outline = []
    for i in range(30):
        turn = math.tau * i / 30
        radius = 0.6 + reach * math.sin(lobes * turn + 6.3 * u[2])
        radius += 0.14 * math.sin(2 * turn + 6.3 * u[3]) + 0.06 * math.sin(7 * turn + 6.3 * u[4])
        outline.append((radius * math.cos(turn), radius * math.sin(turn)))
    away = 0.12 + 0.12 * u[5]
    return [
        Part(outline, "body"),
        _dot(-away, 0.1, 0.16 + 0.05 * u[6], "dark"),
        _dot(away + 0.08, -0.12, 0.13 + 0.05 * u[7], "light"),
        _dot(0.08, 0.32, 0.08, "accent"),
        _dot(-0.2, -0.28, 0.07, "accent"),
        _dot(0.32, 0.18, 0.06, "accent"),
    ]


def _copepod(u: list[float]) -> Shape:
    fat = 0.27 + 0.07 * u[0]
    sweep = 0.1 + 0.45 * u[1]
    tail = 0.09 + 0.04 * u[2]
    trunk = [(0.85, 0.0), (0.72, fat * 0.6), (0.4, fat), (0.05, fat * 0.95), (-0.3, tail)]
    antenna = [(0.74, 0.08), (0.62, 0.5), (0.55 - sweep, 0.95)]
    fork = [(-0.72, 0.03), (-1.0, 0.18)]
    parts: Shape = [line(antenna, 0.06, "dark"), line(_mirrored(antenna), 0.06, "dark"),
                    line(fork, 0.06, "dark"), line(_mirrored(fork), 0.06, "dark")]  # fmt: skip
    if u[3] < 0.55:
        parts += [ellipse(-0.45, side * 0.2, 0.24, 0.11, "accent", 15 * side) for side in (-1, 1)]
    return [
        *parts,
        Part([(-0.2, tail), (-0.78, tail * 0.6), (-0.78, -tail * 0.6), (-0.2, -tail)], "body"),
        Part(trunk + _mirrored(trunk)[::-1], "body"),
        ellipse(0.2, 0.0, 0.3, fat * 0.4, "accent"),
        *(line([(x, fat * 0.85), (x, -fat * 0.85)], 0.03, "dark") for x in (0.02, -0.14)),
        _dot(0.66, 0.0, 0.07, "dark"),
    ]


def _daphnia(u: list[float]) -> Shape:
    tall = 0.46 + 0.1 * u[0]
    spine = 0.15 + 0.3 * u[1]
    branch = [(0.42, -0.3), (0.12 - 0.2 * u[2], -0.78)]
    elbow = (0.25 - 0.08 * u[2], -0.6)
    return [
        line(branch, 0.08, "dark"),
        line([elbow, (0.4, -0.98)], 0.06, "dark"),
        line([elbow, (-0.02, -0.98)], 0.06, "dark"),
        Part([(-0.4, 0.1), (-0.98, 0.3 + spine), (-0.3, 0.45)], "body"),
        ellipse(-0.06, 0.1, 0.6, tall, "body"),
        Part([*arc(0.52, -0.2, 0.3, 0.28, 190, 380, 9), (0.62, 0.2), (0.3, 0.2)], "body"),
        line(arc(0.0, 0.2, 0.5, 0.4, 190, 345, 8), 0.11, "accent"),
        *(_dot(-0.3 + 0.24 * i, 0.22 - 0.06 * i, 0.09, "light") for i in range(1 + int(3 * u[3]))),
        _dot(0.6, -0.22, 0.11, "dark"),
        line([(0.35, 0.45), (0.12, 0.3)], 0.05, "dark"),
    ]


def _desmid(u: list[float]) -> Shape:
    wide = 0.62 + 0.14 * u[0]
    deep = 0.44 + 0.05 * u[1]
    notches = 0.0 if u[2] < 0.5 else 0.09
    half = []
    for i in range(19):
        turn = math.pi * i / 18 - math.pi / 2
        radius = 1.0 + notches * math.cos(8 * turn)
        half.append((0.46 + deep * radius * math.cos(turn) * 1.1 - 0.38, wide * math.sin(turn)))
    green = 0.16 + 0.06 * u[3]
    parts: Shape = [Part([(-0.14, -0.2), (0.14, -0.2), (0.14, 0.2), (-0.14, 0.2)], "body")]
    for side in (-1, 1):
        parts.append(Part([(side * x, y) for x, y in half], "body"))
        parts.append(ellipse(side * 0.3, -wide * 0.42, green, wide * 0.28, "accent"))
        parts.append(ellipse(side * 0.3, wide * 0.42, green, wide * 0.28, "accent"))
    return [*parts, _dot(0.0, 0.0, 0.1, "dark")]


def _diatom(u: list[float]) -> Shape:
    wide = 0.24 + 0.14 * u[0]
    power = 0.55 + 0.5 * u[1]
    upper = [(x, wide * (1 - x * x) ** power) for x in (-1.0, -0.9, -0.7, -0.4, 0.0, 0.4, 0.7, 0.9)]
    inner = 0.6 * wide
    count = 7 + 2 * int(2.99 * u[2])
    seams: Shape = []
    for i in range(count):
        x = 1.6 * (i + 0.5) / count - 0.8
        reach = wide * (1 - x * x) ** power * 0.9
        seams.append(line([(x, -reach), (x, reach)], 0.03, "dark"))
    return [
        Part(upper + [(-x, -y) for x, y in upper], "body"),
        ellipse(-0.4, 0.0, 0.36, inner, "accent"),
        ellipse(0.4, 0.0, 0.36, inner, "accent"),
        *seams,
        line([(-0.9, 0.0), (0.9, 0.0)], 0.05, "light"),
    ]


def _euglena(u: list[float]) -> Shape:
    fat = 0.24 + 0.08 * u[0]
    bend = 0.5 * (u[1] - 0.5)
    profile = ((-1.0, 0.02), (-0.7, 0.3), (-0.4, 0.75), (0.0, 1.0), (0.3, 0.85), (0.5, 0.5),
               (0.58, 0.2))  # fmt: skip
    upper = [(x, bend * x * x + fat * share) for x, share in profile]
    lower = [(x, bend * x * x - fat * share) for x, share in profile]
    whip = [(0.55 + 0.09 * i, bend * 0.3 + 0.16 * math.sin(1.5 * i + 6.3 * u[2]) * min(i, 2) / 2)
            for i in range(6)]  # fmt: skip
    grains = [_dot(x, bend * x * x + fat * y, 0.1 + 0.03 * u[3], "accent")
              for x, y in ((-0.45, 0.1), (-0.22, -0.4), (-0.15, 0.4), (0.12, -0.35),
                           (0.18, 0.4))]  # fmt: skip
    return [
        line(whip, 0.05, "dark"),
        Part(upper + lower[::-1], "body"),
        *grains,
        _dot(-0.02, 0.0, 0.09, "light"),
        _dot(0.42, bend * 0.2 + 0.03, 0.08, "dark"),
    ]


def _foram(u: list[float]) -> Shape:
    count = 7 + int(2.99 * u[0])
    step = 0.95 + 0.25 * u[1]
    growth = 1.2 + 0.06 * u[2]
    parts: Shape = []
    for i in range(count):
        size = growth ** (i - count + 1)
        turn = step * (i - count)
        x, y = 0.5 * size * math.cos(turn), 0.5 * size * math.sin(turn)
        parts.append(_dot(x, y, 0.42 * size, "body"))
        parts.append(_dot(1.05 * x, 1.05 * y, 0.17 * size, "accent"))
    return [*parts, _dot(0.0, 0.0, 0.08, "dark")]


def _hydra(u: list[float]) -> Shape:
    lean = 0.5 * (u[0] - 0.5)
    pen = 0.22 + 0.08 * u[1]
    count = 5 + int(2.99 * u[2])
    parts: Shape = []
    for i in range(count):
        aside = 2 * i / (count - 1) - 1
        curl = 0.25 * math.sin(2.1 * i + 6.3 * u[3])
        tip = (lean + 0.95 * aside, -0.95 + 0.6 * abs(aside) + 0.2 * u[4])
        middle = (lean + 0.5 * aside + 0.3 * curl, -0.55 + 0.2 * curl)
        parts.append(line([(lean, -0.15), middle, tip], 0.07, "dark"))
    if u[5] < 0.45:
        parts.append(line([(0.5 * lean, 0.4), (0.4, 0.25), (0.55, 0.05)], pen * 0.7, "body"))
    return [
        *parts,
        line([(0.0, 0.98), (0.0, 0.7), (0.4 * lean, 0.35), (lean, -0.15)], pen, "body"),
        line([(0.0, 0.7), (0.4 * lean, 0.35), (lean, -0.05)], pen * 0.35, "accent"),
        ellipse(lean, -0.18, pen * 0.7, pen * 0.55, "body"),
        ellipse(0.0, 0.95, pen * 0.8, 0.07, "dark"),
    ]


def _medusa(u: list[float]) -> Shape:
    tall = 0.6 + 0.2 * u[0]
    wide = 0.72 + 0.14 * u[1]
    rim = 0.05
    count = 5 + int(2.99 * u[2])
    parts: Shape = []
    for i in range(count):
        x = wide * (1.7 * i / (count - 1) - 0.85)
        sway = 0.14 * math.sin(1.9 * i + 6.3 * u[3])
        drop = 0.7 + 0.25 * math.sin(2.7 * i + 6.3 * u[4])
        parts.append(line([(x, rim), (x + sway, 0.45 * drop), (x - sway, drop)], 0.05, "dark"))
    scallops = [(wide * (0.75 - 0.25 * i), rim + 0.1 * (i % 2)) for i in range(7)]
    return [
        line([(0.0, -0.1), (0.04, 0.35 + 0.15 * u[5])], 0.16, "accent"),
        *parts,
        Part([*arc(0.0, rim, wide, tall + 0.1, 180, 360, 14), *scallops], "body"),
        ellipse(-0.28 * wide, -0.25, 0.14, 0.18, "accent"),
        ellipse(0.28 * wide, -0.25, 0.14, 0.18, "accent"),
        line(arc(0.0, rim, wide * 0.78, tall * 0.75, 200, 340, 8), 0.05, "light"),
    ]


def _nematode(u: list[float]) -> Shape:
    waves = 2.2 + 2.0 * u[0]
    high = 0.32 + 0.14 * u[1]
    thick = 0.09 + 0.045 * u[2]
    upper, lower, gut = [], [], []
    for i in range(17):
        x = i / 8 - 1
        y = high * math.sin(waves * x + 6.3 * u[3])
        slope = math.atan(high * waves * math.cos(waves * x + 6.3 * u[3]))
        half = thick * (1 - x**4) if x < 0 else thick * (1 - x**8)
        upper.append((x - half * math.sin(slope), y + half * math.cos(slope)))
        lower.append((x + half * math.sin(slope), y - half * math.cos(slope)))
        gut.append((x, y))
    return [
        Part(upper + lower[::-1], "body"),
        line(gut[3:-3], thick * 0.6, "accent"),
        _dot(*gut[-3], thick * 0.6, "dark"),
    ]


def _paramecium(u: list[float]) -> Shape:
    fat = 0.34 + 0.08 * u[0]
    dent = 0.12 + 0.08 * u[1]
    fringe, outline = [], []
    for i in range(40):
        turn = math.tau * i / 40
        x, y = 0.88 * math.cos(turn), fat * math.sin(turn) * (1 + 0.22 * math.cos(turn))
        y -= dent * math.exp(-(((x - 0.3) / 0.3) ** 2)) if y > 0 else 0.0
        outline.append((x, y))
        out = 1.0 if i % 2 else 0.1
        fringe.append((x + 0.1 * out * math.cos(turn), y + 0.13 * out * math.sin(turn)))
    stars: Shape = []
    for x in (-0.55, 0.55):
        stars.append(_dot(x, -0.06, 0.11, "light"))
    return [
        Part(fringe, "dark"),
        Part(outline, "body"),
        *stars,
        ellipse(-0.08, -0.02, 0.22 + 0.05 * u[2], 0.13, "accent", 40 * (u[3] - 0.5)),
        line([(0.5, fat * 0.62), (0.25, fat * 0.35), (0.05, fat * 0.1)], 0.07, "dark"),
        _dot(-0.3, 0.16, 0.06, "accent"),
        _dot(0.2, -0.18, 0.05, "accent"),
    ]


def _radiolaria(u: list[float]) -> Shape:
    count = 7 + int(4.99 * u[0])
    shell = 0.44 + 0.08 * u[1]
    parts: Shape = []
    for i in range(count):
        turn = math.tau * (i + 0.3 * math.sin(5 * i + 6.3 * u[2])) / count
        reach = 0.85 + 0.15 * math.sin(3 * i + 6.3 * u[3])
        x, y = math.cos(turn), math.sin(turn)
        base, half = 0.9 * shell, 0.06
        parts.append(Part([(base * x - half * y, base * y + half * x), (reach * x, reach * y),
                           (base * x + half * y, base * y - half * x)], "dark"))  # fmt: skip
    holes = [_dot(0.62 * shell * math.cos(math.tau * i / 7 + u[4]),
                  0.62 * shell * math.sin(math.tau * i / 7 + u[4]), 0.085, "light")
             for i in range(7)]  # fmt: skip
    return [*parts, _dot(0.0, 0.0, shell, "body"), *holes, _dot(0.0, 0.0, 0.13, "dark")]


def _rotifer(u: list[float]) -> Shape:
    fat = 0.34 + 0.08 * u[0]
    wheel = 0.25 + 0.05 * u[1]
    foot = 0.75 + 0.2 * u[2]
    side = [(0.2, -0.5), (fat, -0.1), (fat * 0.95, 0.25), (0.12, 0.55), (0.07, foot)]
    toe = [(0.04, foot - 0.03), (0.16, 1.0)]
    parts: Shape = [line(toe, 0.06, "dark"), line([(-x, y) for x, y in toe], 0.06, "dark")]
    for x in (-0.27, 0.27):
        parts.append(Part(_star(x, -0.68, wheel * 0.85, wheel * 1.35, 11), "dark"))
    parts.append(Part(side + [(-x, y) for x, y in side[::-1]], "body"))
    parts += [_dot(x, -0.68, wheel * 0.9, "body") for x in (-0.27, 0.27)]
    return [
        *parts,
        _dot(0.0, -0.3, 0.1, "dark"),
        ellipse(0.02, 0.1, fat * 0.55, 0.22, "accent"),
        _dot(0.1 * (u[3] - 0.5), 0.42, 0.07, "light"),
        *(line([(-0.1, y), (0.1, y)], 0.03, "dark") for y in (0.62, 0.72)),
    ]


def _stentor(u: list[float]) -> Shape:
    wide = 0.5 + 0.14 * u[0]
    lean = 0.4 * (u[1] - 0.5)
    waist = 0.1 + 0.06 * u[2]
    rim = -0.68
    right = [(wide, rim), (0.62 * wide, rim + 0.4), (waist + 0.06, 0.3), (waist * 0.7, 0.95)]
    left = [(-x, y) for x, y in right[::-1]]
    bent = [(x + lean * y * y, y) for x, y in right + left]
    shift = lean * rim * rim
    chain = [_dot(0.1 * math.sin(1.4 * i + 6 * u[3]) + lean * y * y, y, 0.075, "dark")
             for i, y in enumerate((-0.35, -0.16, 0.03, 0.22, 0.41))]  # fmt: skip
    fringe = [(x + shift, y) for x, y in _star(0.0, rim, wide, wide + 0.16, 19, flat=0.42)]
    return [
        Part(fringe, "dark"),
        Part(bent, "body"),
        ellipse(shift, rim, wide, 0.2 + 0.06 * u[4], "body"),
        ellipse(shift, rim, wide * 0.7, 0.11, "light"),
        *chain,
        _dot(0.25 * wide + shift, -0.38, 0.08, "accent"),
    ]


def _tardigrade(u: list[float]) -> Shape:
    fat = 0.32 + 0.08 * u[0]
    leg = 0.3 + 0.08 * u[1]
    back, belly = [], []
    for i in range(15):
        x = 0.8 - 1.6 * i / 14
        bulge = fat * (1 - (abs(x) / 0.86) ** 3) + 0.035 * math.cos(8.5 * x + 6.3 * u[2])
        back.append((x, -bulge - 0.06))
        belly.append((x, bulge * 0.7))
    parts: Shape = []
    for i, x in enumerate((0.52, 0.15, -0.22, -0.62)):
        tip = x + 0.14 * math.sin(2.3 * i + 6.3 * u[3]) - (0.12 if i == 3 else 0.0)
        low = fat * 0.6 + leg
        parts += [line([(tip, low), (tip + 0.08, low + 0.14)], 0.05, "dark"),
                  line([(tip, low), (tip - 0.08, low + 0.14)], 0.05, "dark"),
                  Part([(x - 0.13, 0.1), (tip - 0.09, low), (tip + 0.09, low), (x + 0.13, 0.1)],
                       "body")]  # fmt: skip
    seams = [line([(x, -fat * 0.85), (x + 0.03, fat * 0.5)], 0.03, "dark")
             for x in (0.33, -0.03, -0.4)]  # fmt: skip
    return [
        *parts,
        ellipse(0.82, 0.0, 0.2, 0.2 + 0.04 * u[4], "body"),
        Part(back + belly[::-1], "body"),
        ellipse(-0.1, -0.03, 0.4, fat * 0.42, "accent"),
        *seams,
        _dot(0.84, -0.06, 0.06, "dark"),
    ]


def _volvox(u: list[float]) -> Shape:
    radius = 0.78 + 0.14 * u[0]
    young = 3 + int(2.99 * u[1])
    parts: Shape = [_dot(0.0, 0.0, radius, "body")]
    for share, count in ((0.88, 12), (0.6, 7)):
        for i in range(count):
            turn = math.tau * i / count + 6.3 * u[2]
            x, y = share * radius * math.cos(turn), share * radius * math.sin(turn)
            parts.append(Part([(x - 0.05, y), (x, y - 0.05), (x + 0.05, y), (x, y + 0.05)],
                              "dark"))  # fmt: skip
    for i in range(young):
        turn = math.tau * i / young + 6.3 * u[3]
        away = radius * (0.42 + 0.1 * math.sin(4 * i + 6.3 * u[4]))
        parts.append(_dot(away * math.cos(turn), away * math.sin(turn), 0.17 + 0.05 * u[5],
                          "accent"))  # fmt: skip
    return parts


def _dot(x: float, y: float, radius: float, role: Role) -> Part:
    return ellipse(x, y, radius, radius, role)


def _star(
    x: float, y: float, inner: float, outer: float, count: int, *, flat: float = 1.0
) -> list[Point]:
    """A crown of `count` cilia about (x, y), `flat` times as high as wide."""
    points = []
    for i in range(2 * count):
        turn = math.pi * i / count
        radius = outer if i % 2 else inner
        points.append((x + radius * math.cos(turn), y + flat * radius * math.sin(turn)))
    return points


def _mirrored(points: list[Point]) -> list[Point]:
    return [(x, -y) for x, y in points]


_CREATURES: dict[str, Callable[[list[float]], Shape]] = {
    "amoeba": _amoeba,
    "copepod": _copepod,
    "daphnia": _daphnia,
    "desmid": _desmid,
    "diatom": _diatom,
    "euglena": _euglena,
    "foram": _foram,
    "hydra": _hydra,
    "medusa": _medusa,
    "nematode": _nematode,
    "paramecium": _paramecium,
    "radiolaria": _radiolaria,
    "rotifer": _rotifer,
    "stentor": _stentor,
    "tardigrade": _tardigrade,
    "volvox": _volvox,
}

CREATURES: tuple[str, ...] = tuple(_CREATURES)
"""Class names, in label order."""
