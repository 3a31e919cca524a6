"""Placing a shape on a canvas, and the few strokes every domain shares.

Everything is drawn at twice the final size and reduced once, which is the cheapest antialiasing
Pillow has.
"""

from __future__ import annotations

import colorsys
import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from core.demo.shapes import Part, Role, Shape

Colour = tuple[int, int, int]
Palette = dict[Role, Colour]

OVERSAMPLE = 2
"""Canvas pixels per final pixel."""


class Placed(NamedTuple):
    """A part in canvas pixels; `width` is a line's width there and zero for a polygon."""

    xy: list[float]
    role: Role
    width: int


class Pose(NamedTuple):
    """Where an object stands: everything in units of the canvas, angles in degrees."""

    scale: float
    angle: float
    x: float
    y: float
    stretch: float
    flip: bool


def draw_pose(
    rng: np.random.Generator, *, scale: tuple[float, float], angle: float, shift: float
) -> Pose:
    """A pose with half-extent in `scale`, turned up to `angle` degrees, `shift` off centre."""
    u = rng.random(6).tolist()
    return Pose(
        scale=scale[0] + (scale[1] - scale[0]) * u[0],
        angle=angle * (2 * u[1] - 1),
        x=0.5 + shift * (2 * u[2] - 1),
        y=0.5 + shift * (2 * u[3] - 1),
        stretch=0.85 + 0.3 * u[4],
        flip=u[5] < 0.5,
    )


def place(shape: Shape, pose: Pose, pixels: int) -> list[Placed]:
    """The shape's parts in the pixels of a square canvas."""
    turn = math.radians(pose.angle)
    along = pose.scale * pixels * pose.stretch * (-1 if pose.flip else 1)
    down = pose.scale * pixels / pose.stretch
    matrix = np.array(
        [
            [along * math.cos(turn), along * math.sin(turn)],
            [-down * math.sin(turn), down * math.cos(turn)],
        ]
    )
    points = np.array([point for part in shape for point in part.points])
    xy = (points @ matrix + (pose.x * pixels, pose.y * pixels)).tolist()
    placed = []
    start = 0
    for part in shape:
        end = start + len(part.points)
        flat = [value for point in xy[start:end] for value in point]
        placed.append(Placed(flat, part.role, _line_width(part, pose, pixels)))
        start = end
    return placed


def fill(draw: ImageDraw.ImageDraw, parts: list[Placed], palette: Palette) -> None:
    """Flat colour, no outline."""
    for xy, role, width in parts:
        if width:
            draw.line(xy, fill=palette[role], width=width, joint="curve")
        else:
            draw.polygon(xy, fill=palette[role])


def fill_outlined(
    draw: ImageDraw.ImageDraw, parts: list[Placed], palette: Palette, ink: Colour, pen: int
) -> None:
    """Flat colour with a pen line round every part."""
    for xy, role, width in parts:
        if width:
            draw.line(xy, fill=ink, width=width + pen, joint="curve")
            draw.line(xy, fill=palette[role], width=max(1, width - pen), joint="curve")
        else:
            draw.polygon(xy, fill=palette[role])
            draw.line(xy + xy[:4], fill=ink, width=pen)


def silhouette(parts: list[Placed], pixels: int) -> Image.Image:
    """The object's mask, 255 inside."""
    mask = Image.new("L", (pixels, pixels), 0)
    draw = ImageDraw.Draw(mask)
    for xy, _, width in parts:
        if width:
            draw.line(xy, fill=255, width=width)
        else:
            draw.polygon(xy, fill=255)
    return mask


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (wrapping), saturation and value (clamped), each in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(
        hue % 1.0, min(1.0, max(0.0, saturation)), min(1.0, max(0.0, value))
    )
    return (int(red * 255), int(green * 255), int(blue * 255))


def _line_width(part: Part, pose: Pose, pixels: int) -> int:
    return max(2, round(part.width * pose.scale * pixels)) if part.width else 0
