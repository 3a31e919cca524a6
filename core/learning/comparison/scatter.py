"""Dots with error bars, and labels that never collide: beside the plot and tied to their dots by
thin lines, or in a key beneath it where there is no room beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from core.learning.comparison.marks import (
    LINE,
    Layout,
    Mark,
    coloured,
    shaped,
    table,
    texts,
    wrapped,
)

LABEL = (30, 2)  # characters in a line, lines
SYMBOL = 70  # square pixels
BETWEEN = 4  # pixels between two labels


@dataclass(frozen=True)
class Dot:
    """A model in a plane; its error bars reach `x_error` and `y_error` each way."""

    mark: Mark
    x: float
    y: float
    x_error: float = 0.0
    y_error: float = 0.0


@dataclass(frozen=True)
class Axis:
    """One side of a plane, its whole domain fixed; every layer must say the same of it."""

    title: str
    low: float
    high: float
    logarithmic: bool = False

    def x(self, field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=self._scale(), axis=self._axis())

    def y(self, field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=self._scale(), axis=self._axis())

    def _scale(self) -> alt.Scale:
        kind: Any = "log" if self.logarithmic else "linear"
        return alt.Scale(type=kind, domain=[self.low, self.high], nice=False, zero=False)

    def _axis(self) -> alt.Axis:
        return alt.Axis(title=self.title, tickCount=6, format=",~g")


def around(title: str, values: Sequence[float], *, least: float, margin: float = 0.06) -> Axis:
    """A linear axis that holds the values and `margin` of its span more on either side.

    The span is at least `least`, so that a hair's breadth does not fill a chart.
    """
    low, high = min(values), max(values)
    half = max(high - low, least) * (0.5 + margin)
    return Axis(title, (low + high) / 2 - half, (low + high) / 2 + half)


def around_logarithmic(title: str, values: Sequence[float], *, least: float) -> Axis:
    """The same for positive values; `least` is the smallest ratio of the ends."""
    inner = around(title, [math.log(value) for value in values], least=math.log(least))
    return Axis(title, math.exp(inner.low), math.exp(inner.high), logarithmic=True)


def scatter(
    dots: Sequence[Dot], x: Axis, y: Axis, under: Sequence[alt.Chart], layout: Layout
) -> alt.VConcatChart:
    """The plane; the layers `under` it encode fields of their own on the same two axes."""
    dots = sorted(dots, key=lambda dot: -dot.y)
    labels = ["\n".join(wrapped(dot.mark.label, *LABEL)) for dot in dots]
    rooms = [LINE * (label.count("\n") + 1) + BETWEEN for label in labels]
    width, height = layout.plane
    layers = [*under, *_dots(dots, x, y)]
    if not layout.beside:
        plane = alt.LayerChart(layer=layers).properties(width=width, height=height)
        return alt.vconcat(plane, _key(dots, labels, rooms, width))
    height = max(height, sum(rooms))
    wanted = [height * (y.high - dot.y) / (y.high - y.low) for dot in dots]
    centres = spread_out(wanted, rooms, height)
    rows = [
        dot.mark.row(label=label, x=dot.x, y=dot.y, at=y.high - (y.high - y.low) * at / height)
        for dot, label, at in zip(dots, labels, centres, strict=True)
    ]
    leaders = table(rows).mark_rule(strokeWidth=0.8, color="#b5b5b5")
    tied = leaders.encode(x.x("x"), y.y("y"), alt.Y2("at:Q"), x2=alt.value(width + 8))
    beside = _labels(rows, [dot.mark for dot in dots], y.y("at"), width + 15)
    layers = [*under, tied, *_dots(dots, x, y), *beside]
    return alt.vconcat(alt.LayerChart(layer=layers).properties(width=width, height=height))


def spread_out(wanted: Sequence[float], rooms: Sequence[float], height: float) -> list[float]:
    """Centres as near to the wanted ones as their rooms allow, in pixels from 0 to `height`.

    `wanted` rises. What is too near is pushed down, and up again from the lower edge.
    """
    placed = list(wanted)
    edge = 0.0
    for item, room in enumerate(rooms):
        placed[item] = max(placed[item], edge + room / 2)
        edge = placed[item] + room / 2
    edge = max(height, sum(rooms))
    for item, room in reversed(list(enumerate(rooms))):
        placed[item] = min(placed[item], edge - room / 2)
        edge = placed[item] - room / 2
    return placed


def _dots(dots: Sequence[Dot], x: Axis, y: Axis) -> list[alt.Chart]:
    marks = [dot.mark for dot in dots]
    rows = [
        dot.mark.row(
            x=dot.x,
            y=dot.y,
            left=dot.x - dot.x_error,
            right=dot.x + dot.x_error,
            bottom=dot.y - dot.y_error,
            top=dot.y + dot.y_error,
        )
        for dot in dots
    ]
    bars = table(rows).mark_rule(strokeWidth=1.3)
    points = table(rows).mark_point(
        filled=True, size=SYMBOL, opacity=1, stroke="white", strokeWidth=0.7
    )
    return [
        bars.encode(x.x("left"), alt.X2("right:Q"), y.y("y"), coloured(marks)),
        bars.encode(x.x("x"), y.y("bottom"), alt.Y2("top:Q"), coloured(marks)),
        points.encode(x.x("x"), y.y("y"), coloured(marks), shaped(marks)),
    ]


def _key(
    dots: Sequence[Dot], labels: Sequence[str], rooms: Sequence[float], width: int
) -> alt.LayerChart:
    height = sum(rooms)
    rows = [
        dot.mark.row(label=label, at=height - sum(rooms[:place]) - rooms[place] / 2)
        for place, (dot, label) in enumerate(zip(dots, labels, strict=True))
    ]
    at = alt.Y("at:Q", scale=alt.Scale(domain=[0, height], nice=False), axis=None)
    layers = _labels(rows, [dot.mark for dot in dots], at, 6)
    frameless = alt.ViewConfig(stroke=None)
    return alt.LayerChart(layer=layers).properties(width=width, height=height, view=frameless)


def _labels(
    rows: list[dict[str, Any]], marks: list[Mark], y: alt.Y, left: float
) -> list[alt.Chart]:
    """Symbol and text of every model, `left` pixels from the plot's edge."""
    symbols = table(rows).mark_point(filled=True, size=SYMBOL, opacity=1)
    return [
        symbols.encode(y, coloured(marks), shaped(marks), x=alt.value(left)),
        *texts(rows, "left", y=y, x=alt.value(left + 9)),
    ]
