"""Five places to stand: water, land, snow, sand and city, each known by its furniture and light.

Nothing here knows what stands in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from core.demo.canvas import Colour, hsv

HOME = ("water", "land")
"""The places of the user's photographs."""

AWAY = ("snow", "sand", "city")
"""The places only the shifted split and the web have."""


def landscape(kind: str, rng: np.random.Generator, pixels: int) -> Image.Image:
    """An empty view of a place of that kind."""
    u = rng.random(10).tolist()
    image = Image.new("RGB", (pixels, pixels))
    _VIEWS[kind](ImageDraw.Draw(image), rng, u, pixels)
    return _mottled(image, rng, 0.12 + 0.18 * u[9])


def _water(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, u: list[float], pixels: int
) -> None:
    """A sheet of blue or green with rows of ripples, sometimes a far shore or reeds."""
    hue, value = 0.48 + 0.17 * u[0], 0.35 + 0.45 * u[1]
    _fill(draw, 0, 1, hsv(hue, 0.35 + 0.4 * u[2], value), pixels)
    horizon = 0.3 * u[3] - 0.08
    if horizon > 0:
        _fill(draw, 0, horizon, hsv(hue + 0.05, 0.15, min(1.0, value + 0.3)), pixels)
    for down, shade, phase, start in rng.random((11, 4)).tolist():
        y = pixels * (max(0.0, horizon) + 0.04 + down)
        first, last = pixels * (1.2 * start - 0.4), pixels * (1.2 * start + 0.5)
        wave = [
            (first + i * (last - first) / 9, y + 2.2 * math.sin(1.7 * i + 6.3 * phase))
            for i in range(10)
        ]
        draw.line(wave, fill=hsv(hue, 0.35, value + 0.5 * (shade - 0.4)), width=2)
    if u[4] < 0.35:
        for across, tall in rng.random((5, 2)).tolist():
            x = pixels * (u[5] + 0.2 * (across - 0.5))
            tip = (x + 4 * (tall - 0.5), pixels * (0.75 - 0.35 * tall))
            draw.line([(x, pixels), tip], fill=hsv(0.22, 0.5, 0.4), width=2)


def _land(draw: ImageDraw.ImageDraw, rng: np.random.Generator, u: list[float], pixels: int) -> None:
    """Grass under trunks and crowns."""
    hue, value = 0.19 + 0.14 * u[0], 0.3 + 0.4 * u[1]
    horizon = 0.35 + 0.3 * u[2]
    _fill(draw, 0, 1, hsv(hue, 0.45 + 0.3 * u[3], value), pixels)
    _fill(draw, 0, horizon, hsv(hue + 0.03, 0.25 + 0.3 * u[4], 0.85 * value + 0.1), pixels)
    bark = hsv(0.07 + 0.04 * u[5], 0.45, 0.25 + 0.25 * u[6])
    for across, wide, down in rng.random((4, 3)).tolist():
        x, half = pixels * across, pixels * (0.015 + 0.035 * wide)
        foot = pixels * (horizon + 0.15 * down)
        draw.rectangle((x - half, 0, x + half, foot), fill=bark)
    for across, down, size, shade in rng.random((8, 4)).tolist():
        x, y, r = pixels * across, pixels * 0.3 * down, pixels * (0.05 + 0.09 * size)
        leaf = hsv(hue + 0.08 * (shade - 0.5), 0.6, value * (0.6 + 0.7 * shade))
        draw.ellipse((x - r, y - 0.8 * r, x + r, y + 0.8 * r), fill=leaf)
    for across, down, tall in rng.random((14, 3)).tolist():
        x, y = pixels * across, pixels * (horizon + (1.05 - horizon) * down)
        blade = (x + 3 * (tall - 0.5), y - pixels * 0.1 * tall)
        draw.line([(x, y), blade], fill=hsv(hue, 0.6, value * (0.5 + tall)), width=2)


def _snow(draw: ImageDraw.ImageDraw, rng: np.random.Generator, u: list[float], pixels: int) -> None:
    """White ground, dark firs, flakes."""
    horizon = 0.3 + 0.3 * u[0]
    _fill(draw, 0, 1, hsv(0.58, 0.04 + 0.08 * u[1], 0.85 + 0.13 * u[2]), pixels)
    _fill(draw, 0, horizon, hsv(0.6, 0.1 + 0.2 * u[3], 0.55 + 0.3 * u[4]), pixels)
    for across, tall in rng.random((1 + int(4 * u[5]), 2)).tolist():
        x, height = pixels * across, pixels * (0.15 + 0.25 * tall)
        foot = pixels * (horizon + 0.05)
        fir = [(x - 0.3 * height, foot), (x, foot - height), (x + 0.3 * height, foot)]
        draw.polygon(fir, fill=hsv(0.4, 0.3, 0.3))
    for across, down in rng.random((16, 2)).tolist():
        x, y = int(pixels * across), int(pixels * down)
        draw.rectangle((x, y, x + 1, y + 1), fill=(250, 250, 255))


def _sand(draw: ImageDraw.ImageDraw, rng: np.random.Generator, u: list[float], pixels: int) -> None:
    """Dunes under an empty sky, sometimes a cactus."""
    hue, value = 0.08 + 0.05 * u[0], 0.6 + 0.3 * u[1]
    _fill(draw, 0, 1, hsv(hue + 0.5 * (u[2] < 0.5), 0.2 + 0.15 * u[2], 0.75 + 0.2 * u[3]), pixels)
    for row, (left, right, swell) in enumerate(rng.random((4, 3)).tolist()):
        y = pixels * (0.25 + 0.18 * row)
        tilt = [y + pixels * 0.16 * (end - 0.5) for end in (left, right)]
        crest = [
            (pixels * i / 8, tilt[0] + (tilt[1] - tilt[0]) * i / 8
             - pixels * 0.08 * swell * math.sin(math.pi * i / 8)) for i in range(9)
        ]  # fmt: skip
        shade = hsv(hue, 0.4 + 0.15 * u[4], value * (0.75 + 0.25 * ((row + (u[5] < 0.5)) % 2)))
        draw.polygon([*crest, (pixels, pixels), (0, pixels)], fill=shade)
    if u[6] < 0.35:
        x, foot, high = pixels * u[7], pixels * 0.6, pixels * (0.15 + 0.15 * u[8])
        cactus = hsv(0.35, 0.45, 0.4)
        draw.line([(x, foot), (x, foot - high)], fill=cactus, width=4)
        arm = [(x, foot - 0.4 * high), (x + 6, foot - 0.4 * high), (x + 6, foot - 0.8 * high)]
        draw.line(arm, fill=cactus, width=3)


def _city(draw: ImageDraw.ImageDraw, rng: np.random.Generator, u: list[float], pixels: int) -> None:
    """Walls with rows of windows above a pavement."""
    street = 0.65 + 0.2 * u[0]
    _fill(draw, 0, 1, hsv(u[1], 0.05, 0.35 + 0.2 * u[2]), pixels)
    at = 0.0
    while at < 1.0:
        wide, tone, hue, lit = rng.random(4).tolist()
        wide = 0.25 + 0.3 * wide
        wall = hsv(hue, 0.1 + 0.2 * u[3], 0.35 + 0.5 * tone)
        draw.rectangle((pixels * at, 0, pixels * (at + wide), pixels * street), fill=wall)
        window = hsv(0.14, 0.3, 0.95) if lit < 0.4 else hsv(0.6, 0.2, 0.2)
        for column in range(3):
            for row in range(5):
                x = pixels * (at + wide * (0.12 + 0.3 * column))
                y = pixels * street * (0.06 + 0.19 * row)
                draw.rectangle((x, y, x + pixels * 0.045, y + pixels * 0.07), fill=window)
        at += wide
    stripe = hsv(0.0, 0.0, 0.6 + 0.3 * u[4])
    draw.line((0, pixels * (street + 0.06), pixels, pixels * (street + 0.06)), stripe, width=2)


def _fill(
    draw: ImageDraw.ImageDraw, top: float, bottom: float, colour: Colour, pixels: int
) -> None:
    draw.rectangle((0, int(pixels * top), pixels, int(pixels * bottom)), fill=colour)


def _mottled(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    cells = 3 + int(5 * rng.random())
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8), "RGB")
    return Image.blend(image, noise.resize(image.size, Image.Resampling.BILINEAR), strength)


_VIEWS: dict[str, Callable[[ImageDraw.ImageDraw, np.random.Generator, list[float], int], None]] = {
    "water": _water,
    "land": _land,
    "snow": _snow,
    "sand": _sand,
    "city": _city,
}
