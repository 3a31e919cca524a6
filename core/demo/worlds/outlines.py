"""Outlines the worlds' shapes are made of, in units where a thing fills about [-1, 1], y down."""

from __future__ import annotations

import math

from core.demo.shapes import Part, Point, Role


def ellipse(
    x: float, y: float, rx: float, ry: float, role: Role = "body", turn: float = 0.0
) -> Part:
    """A filled ellipse, turned by `turn` degrees."""
    count = 8 if max(rx, ry) < 0.2 else 18
    angle = math.radians(turn)
    across, up = math.cos(angle), math.sin(angle)
    points = []
    for px, py in arc(0.0, 0.0, rx, ry, 0.0, 360.0 * (count - 1) / count, count):
        points.append((x + px * across - py * up, y + px * up + py * across))
    return Part(points, role)


def box(left: float, top: float, right: float, bottom: float, role: Role = "body") -> Part:
    """A filled rectangle."""
    return Part([(left, top), (right, top), (right, bottom), (left, bottom)], role)


def line(points: list[Point], width: float, role: Role = "body") -> Part:
    """A stroke through the points."""
    return Part(points, role, width)


def arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, count: int = 12
) -> list[Point]:
    """Points from `start` to `end` degrees, clockwise from the right."""
    step = math.radians(end - start) / (count - 1)
    first = math.radians(start)
    return [
        (x + rx * math.cos(first + step * i), y + ry * math.sin(first + step * i))
        for i in range(count)
    ]
