"""Light through a microscope: bright field, dark field, dyes, dirt, and a phone at the eyepiece.

A look lays the colours of a picture down before it is drawn; dirt and phone change it afterwards.
All of them work on an oversampled picture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from core.demo.canvas import Colour, Palette, Placed, hsv

_PEN = 2
"""A membrane's width in oversampled pixels."""


class Look(NamedTuple):
    """The water's colour, the creature's, and its membrane's."""

    water: Colour
    palette: Palette
    membrane: Colour


def bright(rng: np.random.Generator, tint: Colour) -> Look:
    """White light from below: everything is a darker tone of what it swims in."""
    u = rng.random(8).tolist()
    lamp = 0.82 + 0.2 * u[0]
    hue, strength = u[1], 0.08 + 0.3 * u[2]
    palette: Palette = {
        "body": _through(tint, hsv(hue, strength, 0.9 - 0.2 * u[3]), lamp),
        "accent": _through(tint, hsv(hue + 0.3 * (u[4] - 0.5), 0.3 + 0.35 * u[5], 0.65), lamp),
        "light": _through(tint, (250, 250, 250), lamp),
        "dark": _through(tint, hsv(hue, 0.3, 0.3 + 0.3 * u[6]), lamp),
    }
    membrane = _through(tint, hsv(hue, 0.3, 0.35 + 0.35 * u[7]), lamp)
    return Look(_through(tint, (255, 255, 255), lamp), palette, membrane)


def dark(rng: np.random.Generator, tint: Colour) -> Look:
    """Light from the sides alone: what scatters it shines on black."""
    u = rng.random(6).tolist()
    glow = _saturated(tint)
    night = 0.07 + 0.09 * u[0]
    palette: Palette = {
        "body": _through(glow, (255, 255, 255), 0.24 + 0.2 * u[1]),
        "accent": _through(glow, hsv(u[2], 0.3, 1.0), 0.5 + 0.2 * u[3]),
        "light": _through(glow, (255, 255, 255), 0.1 + 0.08 * u[1]),
        "dark": _through(glow, (255, 255, 255), 0.75 + 0.3 * u[4]),
    }
    membrane = _through(glow, (255, 255, 255), 0.7 + 0.35 * u[5])
    return Look(_through(glow, (255, 255, 255), night), palette, membrane)


def stained(rng: np.random.Generator, tint: Colour) -> Look:
    """Two strong dyes in pale water: one for the body, another for what is in it."""
    u = rng.random(8).tolist()
    first = int(u[0] * len(_DYES))
    second = (first + 1 + int(u[1] * (len(_DYES) - 1))) % len(_DYES)
    lamp = 0.9 + 0.12 * u[2]
    palette: Palette = {
        "body": _through(tint, hsv(_DYES[first], 0.4 + 0.35 * u[3], 0.95 - 0.2 * u[4]), lamp),
        "accent": _through(tint, hsv(_DYES[second], 0.7 + 0.25 * u[5], 0.75), lamp),
        "light": _through(tint, hsv(_DYES[first], 0.15, 1.0), lamp),
        "dark": _through(tint, hsv(_DYES[second] + 0.05, 0.85, 0.3 + 0.25 * u[6]), lamp),
    }
    membrane = _through(tint, hsv(_DYES[first], 0.85, 0.4 + 0.25 * u[7]), lamp)
    return Look(_through(tint, (255, 255, 255), lamp), palette, membrane)


_DYES = (0.78, 0.93, 0.6, 0.07, 0.42)
"""Hues of gentian violet, carmine, methylene blue, an orange and malachite green."""


def water(rng: np.random.Generator, pixels: int, look: Look) -> Image.Image:
    """The field without its creature: light a little uneven, grains, sometimes a thread."""
    image = Image.new("RGB", (pixels, pixels), look.water)
    draw = ImageDraw.Draw(image)
    u = rng.random(9).tolist()
    red, green, blue = look.water
    for across, down, tone in (u[0:3], u[3:6]):
        x, y, r = pixels * across, pixels * down, pixels * 0.45
        factor = 0.93 + 0.12 * tone
        patch = (min(255, int(red * factor)), min(255, int(green * factor)),
                 min(255, int(blue * factor)))  # fmt: skip
        draw.ellipse((x - r, y - r, x + r, y + r), fill=patch)
    for across, down, size, tone in rng.random((2 + int(9 * u[6]), 4)).tolist():
        x, y, r = pixels * across, pixels * down, pixels * (0.008 + 0.03 * size * size)
        grain = look.palette["accent"] if tone < 0.4 else look.membrane
        draw.ellipse((x - r, y - r, x + r, y + r), fill=grain)
    if u[7] < 0.35:
        _thread(draw, rng, pixels, look.membrane)
    return image


def paint(draw: ImageDraw.ImageDraw, parts: list[Placed], look: Look) -> None:
    """The creature: membranes round its body, none round its organs."""
    palette = look.palette
    for xy, role, width in parts:
        if role != "body":
            if width:
                draw.line(xy, fill=palette[role], width=width, joint="curve")
            else:
                draw.polygon(xy, fill=palette[role])
        elif width:
            draw.line(xy, fill=look.membrane, width=width + _PEN, joint="curve")
            draw.line(xy, fill=palette[role], width=max(1, width - _PEN), joint="curve")
        else:
            draw.polygon(xy, fill=palette[role])
            draw.line(xy + xy[:4], fill=look.membrane, width=_PEN)


def dirt(draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int) -> None:
    """Crumbs, air bubbles, fibres and scratches on the cover glass."""
    u = rng.random(5).tolist()
    for across, down, size, shape in rng.random((2 + int(5 * u[0]), 4)).tolist():
        x, y, r = pixels * across, pixels * down, pixels * (0.03 + 0.06 * size)
        crumb = [(x + r * math.cos(0.9 * i) * (0.5 + (shape * (i + 2) * 7) % 1),
                  y + r * math.sin(0.9 * i) * (0.5 + (shape * (i + 3) * 5) % 1))
                 for i in range(7)]  # fmt: skip
        draw.polygon(crumb, fill=hsv(0.05 + 0.1 * shape, 0.5, 0.15 + 0.35 * size))
    for across, down, size in rng.random((1 + int(3 * u[1]), 3)).tolist():
        x, y, r = pixels * across, pixels * down, pixels * (0.04 + 0.08 * size)
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(40, 40, 45), width=2)
        draw.ellipse((x - 0.4 * r, y - 0.5 * r, x, y - 0.1 * r), fill=(250, 250, 250))
    for across, down, turn, long in rng.random((1 + int(4 * u[2]), 4)).tolist():
        x, y, reach = pixels * across, pixels * down, pixels * (0.2 + 0.5 * long)
        end = (x + reach * math.cos(6.3 * turn), y + reach * math.sin(6.3 * turn))
        grey = 225 if turn < 0.6 else 60
        draw.line([(x, y), end], fill=(grey, grey, grey), width=1)
    if u[3] < 0.6:
        _thread(draw, rng, pixels, hsv(u[4], 0.4, 0.3))


def phone(image: Image.Image, rng: np.random.Generator, look: Look) -> Image.Image:
    """The picture through the eyepiece: aslant, in a round frame, lit from a side, discoloured."""
    pixels = image.width
    u = rng.random(11).tolist()
    slant = [0.006 * (value - 0.5) for value in u[0:2]]
    shear = [0.4 * (value - 0.5) for value in u[2:4]]
    middle = pixels / 2
    # Pillow takes pixel (x, y) from (a x + b y + c, d x + e y + f) / (g x + h y + 1); the middle
    # stays where it is.
    depth = 1.0 + middle * (slant[0] + slant[1])
    across = middle * (depth - 1.0 - shear[0])
    down = middle * (depth - shear[1] - 1.0)
    image = image.transform(
        image.size,
        Image.Transform.PERSPECTIVE,
        (1.0, shear[0], across, shear[1], 1.0, down, *slant),
        Image.Resampling.BILINEAR,
        fillcolor=look.water,
    )
    ramp = np.arange(pixels, dtype=np.float32) / np.float32(pixels)
    x_W = ramp - 0.43 - 0.14 * u[4]
    y_H1 = (ramp - 0.43 - 0.14 * u[5])[:, None]
    radius, edge = 0.42 + 0.1 * u[6], 0.03 + 0.05 * u[7]
    frame_HW = np.clip((radius - np.sqrt(x_W**2 + y_H1**2)) / edge, 0.0, 1.0)
    turn = 6.3 * u[8]
    side_HW = 1.0 + (0.3 + 0.5 * u[9]) * (math.cos(turn) * x_W + math.sin(turn) * y_H1)
    cast_3 = np.array(hsv(u[10], 0.3, 1.0), dtype=np.float32) / 255.0
    light_HWC = (0.04 + 0.9 * frame_HW * side_HW)[..., None] * cast_3
    seen_HWC = np.asarray(image, dtype=np.float32) * light_HWC
    return Image.fromarray(np.clip(seen_HWC, 0, 255).astype(np.uint8), "RGB")


def _thread(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int, colour: Colour
) -> None:
    """A filament that hangs into the picture from its rim."""
    u = rng.random(4).tolist()
    turn = 6.3 * u[0]
    start = (0.5 + 0.7 * math.cos(turn), 0.5 + 0.7 * math.sin(turn))
    aim = turn + 2.4 + 1.4 * u[1]
    points = [(pixels * (start[0] + 0.13 * i * math.cos(aim + 0.5 * u[2] * i - u[3])),
               pixels * (start[1] + 0.13 * i * math.sin(aim + 0.5 * u[2] * i - u[3])))
              for i in range(5)]  # fmt: skip
    draw.line(points, fill=colour, width=2)


def _through(tint: Colour, colour: Colour, light: float) -> Colour:
    """The colour as tinted water and a lamp of that strength show it."""
    red, green, blue = (
        min(255, int(one * other * light / 255.0))
        for one, other in zip(tint, colour, strict=True)
    )  # fmt: skip
    return (red, green, blue)


def _saturated(tint: Colour) -> Colour:
    """The tint as scattered light has it: what is weak in it is weaker by half as much again."""
    top = max(tint)
    red, green, blue = (max(0, int(255 - 1.5 * (top - value))) for value in tint)
    return (red, green, blue)
