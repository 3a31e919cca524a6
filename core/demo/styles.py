"""The four drawn manners: one function a domain, after DomainNet's.

Each takes a shape and a generator and returns a finished picture. A domain differs from the others
in what carries the object: strokes of paint (`painting`), flat fills in an outline (`clipart`), a
small pictogram among charts and lines of text (`infograph`), pencil lines on paper (`sketch`).
`real` is in `photograph.py`.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from core.demo.canvas import (
    OVERSAMPLE,
    Colour,
    Palette,
    draw_pose,
    fill,
    fill_outlined,
    hsv,
    place,
)
from core.demo.shapes import Shape


def painting(shape: Shape, rng: np.random.Generator, size: int) -> Image.Image:
    """Oil on canvas: few muted colours, everything gone over with short curved strokes."""
    pixels = size * OVERSAMPLE
    u = rng.random(12).tolist()
    key = u[0]
    ground = hsv(key + 0.1 * u[1], 0.25 + 0.45 * u[2], 0.35 + 0.5 * u[3])
    floor = hsv(key + 0.12 + 0.1 * u[4], 0.25 + 0.45 * u[5], 0.3 + 0.5 * u[6])
    image = Image.new("RGB", (pixels, pixels), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(pixels * (0.55 + 0.3 * u[7])), pixels, pixels), fill=floor)
    pose = draw_pose(rng, scale=(0.32, 0.46), angle=25, shift=0.08)
    value = 0.92 if sum(ground) < 330 else 0.3
    hue = key + 0.3 + 0.4 * u[8]
    palette: Palette = {
        "body": hsv(hue, 0.35 + 0.35 * u[9], value * (0.85 + 0.15 * u[10])),
        "accent": hsv(hue + 0.12, 0.45, value * 0.75 + 0.1),
        "light": hsv(hue + 0.1, 0.15, 0.9),
        "dark": hsv(hue + 0.5, 0.35, 0.18),
    }
    fill(draw, place(shape, pose, pixels), palette)
    _strokes(draw, image, rng, pixels, count=110)
    grain = rng.normal(0.0, 7.0, (size, size, 1)).astype(np.float32)
    weave = 6.0 * ((np.add.outer(np.arange(size), np.arange(size)) % 2) - 0.5)
    pixels_hwc = np.asarray(image.reduce(OVERSAMPLE), dtype=np.float32)
    return _to_image(pixels_hwc + grain + weave[..., None].astype(np.float32))


def clipart(shape: Shape, rng: np.random.Generator, size: int) -> Image.Image:
    """Saturated flat fills in a bold dark outline on a plain ground, sometimes on a badge."""
    pixels = size * OVERSAMPLE
    u = rng.random(10).tolist()
    ground: Colour = (255, 255, 255) if u[0] < 0.6 else hsv(u[1], 0.1 + 0.25 * u[2], 1.0)
    image = Image.new("RGB", (pixels, pixels), ground)
    draw = ImageDraw.Draw(image)
    hue = u[3]
    if u[4] < 0.3:
        edge = pixels * (0.03 + 0.07 * u[5])
        box = (edge, edge, pixels - edge, pixels - edge)
        badge = hsv(hue + 0.35 + 0.3 * u[6], 0.4, 1.0)
        if u[7] < 0.5:
            draw.ellipse(box, fill=badge)
        else:
            draw.rounded_rectangle(box, radius=pixels // 8, fill=badge)
    mess = rng.random()
    pose = draw_pose(
        rng, scale=(0.34 - 0.14 * mess, 0.46), angle=22 + 30 * mess, shift=0.06 + 0.08 * mess
    )
    palette: Palette = {
        "body": hsv(hue, 0.75 + 0.25 * u[8], 0.95),
        "accent": hsv(hue + 0.15 + 0.5 * u[9], 0.8, 0.95),
        "light": (255, 255, 250),
        "dark": (40, 35, 50),
    }
    parts = place(shape, pose, pixels)
    fill_outlined(draw, parts, palette, ink=(15, 15, 20), pen=3)
    _confetti(draw, rng, pixels, hue, count=int(8 * mess * rng.random()))
    return image.reduce(OVERSAMPLE)


def infograph(shape: Shape, rng: np.random.Generator, size: int) -> Image.Image:
    """A pictogram in a two-colour theme, in one corner of a page of bars, charts and text lines."""
    pixels = size * OVERSAMPLE
    u = rng.random(10).tolist()
    theme = u[0]
    is_night = u[1] < 0.3
    ground = hsv(theme, 0.5, 0.25) if is_night else hsv(theme, 0.04 + 0.12 * u[2], 0.97)
    ink = hsv(theme, 0.15, 0.9) if is_night else hsv(theme, 0.6, 0.35)
    strong = hsv(theme + 0.4 + 0.2 * u[3], 0.8, 0.85)
    image = Image.new("RGB", (pixels, pixels), ground)
    draw = ImageDraw.Draw(image)
    pose = draw_pose(rng, scale=(0.25, 0.33), angle=10, shift=0.0)
    pose = pose._replace(x=pose.scale + 0.03 if u[4] < 0.5 else 0.97 - pose.scale,
                         y=pose.scale + 0.12 if u[5] < 0.5 else 0.97 - pose.scale)  # fmt: skip
    draw.rectangle((0, 0, pixels, int(pixels * 0.1)), fill=strong)
    _text_line(draw, rng, 0.05, 0.6, 0.05, ground, pixels)
    is_left = pose.x > 0.5
    is_top = pose.y > 0.5
    side_x = (0.04, 0.34) if is_left else (0.66, 0.96)
    half_y = (0.14, 0.36) if is_top else (0.66, 0.95)
    for row in range(6):
        height = 0.18 + 0.14 * row
        _text_line(draw, rng, side_x[0], side_x[1], height, ink, pixels)
    _chart(draw, rng, (0.05, half_y[0], 0.95, half_y[1]), (strong, ink), pixels)
    if u[6] < 0.4:
        radius = pose.scale * 1.1
        box = [
            (pose.x - radius) * pixels, (pose.y - radius) * pixels,
            (pose.x + radius) * pixels, (pose.y + radius) * pixels,
        ]  # fmt: skip
        draw.ellipse(box, fill=hsv(theme + 0.05, 0.2, 0.45 if is_night else 0.85))
    palette: Palette = {
        "body": strong if u[7] < 0.6 else ink,
        "accent": ink if u[7] < 0.6 else strong,
        "light": ground,
        "dark": hsv(theme, 0.7, 0.2) if not is_night else hsv(theme, 0.1, 1.0),
    }
    fill(draw, place(shape, pose, pixels), palette)
    return image.reduce(OVERSAMPLE)


def sketch(shape: Shape, rng: np.random.Generator, size: int) -> Image.Image:
    """Pencil lines on paper, each outline gone over twice with an unsteady hand."""
    pixels = size * OVERSAMPLE
    u = rng.random(8).tolist()
    tone = 225 + int(30 * u[0])
    paper: Colour = (tone, tone - int(10 * u[1]), tone - int(25 * u[1]))
    image = Image.new("RGB", (pixels, pixels), paper)
    draw = ImageDraw.Draw(image)
    haste = rng.random()
    pose = draw_pose(
        rng, scale=(0.34 - 0.11 * haste, 0.46), angle=22 + 22 * haste, shift=0.07 + 0.06 * haste
    )
    parts = place(shape, pose, pixels)
    darkness = 20 + int(120 * u[2])
    tremor = rng.normal(0.0, 0.5 + (0.5 + 0.7 * haste) * u[3], 512).tolist()
    pen = 2 if u[4] < 0.7 else 3
    at = 0
    for xy, role, width in parts:
        at = (at + 17) % 300
        ink = (darkness, darkness, darkness + 8)
        if width:
            shaken = [value + tremor[(at + i) % 512] for i, value in enumerate(xy)]
            draw.line(shaken, fill=ink, width=max(pen, min(width, pen + 1)))
            continue
        draw.polygon(xy, fill=paper)
        _hatch(draw, xy, role, ink, at)
        closed = xy + xy[:2]
        for times in range(2):
            at += 7
            shaken = [value + tremor[(at + i) % 512] for i, value in enumerate(closed)]
            lighter = (darkness + 50 * times,) * 3
            draw.line(shaken, fill=lighter, width=pen)
    _stray_lines(draw, rng, pixels, darkness, count=int(6 * haste * rng.random()))
    grain = rng.normal(0.0, 5.0 + 7.0 * u[5], (size, size, 1)).astype(np.float32)
    return _to_image(np.asarray(image.reduce(OVERSAMPLE), dtype=np.float32) + grain)


def _strokes(
    draw: ImageDraw.ImageDraw, image: Image.Image, rng: np.random.Generator, pixels: int, count: int
) -> None:
    """Short strokes that pick up the colour beneath them, so edges break up as in paint."""
    xy = rng.integers(2, pixels - 2, (count, 2)).tolist()
    jitter = rng.normal(0.0, 16.0, (count, 3)).tolist()
    turn = (rng.random() * math.pi + rng.normal(0.0, 0.5, count)).tolist()
    length = pixels / 18
    source = image.copy()
    for (x, y), (red, green, blue), angle in zip(xy, jitter, turn, strict=True):
        base = source.getpixel((x, y))
        assert isinstance(base, tuple)
        colour = (
            max(0, min(255, int(base[0] + red))),
            max(0, min(255, int(base[1] + green))),
            max(0, min(255, int(base[2] + blue))),
        )
        dx, dy = length * math.cos(angle), length * math.sin(angle)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=4)


def _confetti(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int, hue: float, count: int
) -> None:
    """Outlined dots and ribbons scattered over the picture."""
    for across, down, turn, wide, tint in rng.random((count, 5)).tolist():
        x, y, radius = across * pixels, down * pixels, pixels * (0.03 + 0.06 * wide)
        colour = hsv(hue + tint, 0.7, 0.95)
        if turn < 0.5:
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, fill=colour, outline=(15, 15, 20), width=2)
        else:
            dx, dy = 3 * radius * math.cos(6.3 * turn), 3 * radius * math.sin(6.3 * turn)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=(15, 15, 20), width=6)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=3)


def _stray_lines(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int, darkness: int, count: int
) -> None:
    """Construction lines and slips of the pencil."""
    for across, down, turn, reach, faint in rng.random((count, 5)).tolist():
        x, y, length = across * pixels, down * pixels, pixels * (0.1 + 0.4 * reach)
        dx, dy = length * math.cos(6.3 * turn), length * math.sin(6.3 * turn)
        tone = darkness + int(70 * faint)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=(tone, tone, tone), width=2)


def _text_line(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    left: float,
    right: float,
    height: float,
    ink: Colour,
    pixels: int,
) -> None:
    """Dashes of uneven length, which is what text looks like from afar."""
    x = left * pixels
    y = int(height * pixels)
    for length in (2 + 7 * rng.random(8)).tolist():
        end = min(x + length * pixels / 72, right * pixels)
        draw.line((int(x), y, int(end), y), fill=ink, width=2)
        x = end + 3
        if x >= right * pixels:
            return


def _chart(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
    colours: tuple[Colour, Colour],
    pixels: int,
) -> None:
    """Bars, a pie or a curve inside `box`, the commonest furniture of an infographic."""
    left, top, right, bottom = (value * pixels for value in box)
    u = rng.random(7).tolist()
    if u[0] < 0.45:
        step = (right - left) / 6
        for i, height in enumerate(u[1:]):
            x = left + i * step
            crown = bottom - (0.2 + 0.8 * height) * (bottom - top)
            draw.rectangle((x, crown, x + step * 0.6, bottom), fill=colours[i % 2])
        return
    if u[0] < 0.75:
        radius = (bottom - top) / 2
        x = left + radius + u[1] * (right - left - 2 * radius)
        circle = (x - radius, top, x + radius, bottom)
        draw.ellipse(circle, fill=colours[1])
        draw.pieslice(circle, 360 * u[2], 360 * u[2] + 60 + 200 * u[3], fill=colours[0])
        return
    step = (right - left) / 5
    curve = [(left + i * step, top + height * (bottom - top)) for i, height in enumerate(u[1:])]
    draw.line(curve, fill=colours[0], width=3)
    draw.line((left, bottom, right, bottom), fill=colours[1], width=2)


def _hatch(draw: ImageDraw.ImageDraw, xy: list[float], role: str, ink: Colour, seed: int) -> None:
    """Pencil shading: solid for what is dark, a few strokes for an accent, none otherwise."""
    if role == "dark":
        draw.polygon(xy, fill=(ink[0] + 60, ink[1] + 60, ink[2] + 60))
        return
    if role != "accent" or seed % 2:
        return
    xs, ys = xy[0::2], xy[1::2]
    centre_x, centre_y = sum(xs) / len(xs), sum(ys) / len(ys)
    reach_x, reach_y = (max(xs) - min(xs)) / 5, (max(ys) - min(ys)) / 5
    for i in (-1, 0, 1):
        x = centre_x + i * reach_x
        draw.line(
            (x - reach_x, centre_y + reach_y, x + reach_x, centre_y - reach_y),
            fill=(ink[0] + 80, ink[1] + 80, ink[2] + 80),
            width=1,
        )


def _to_image(pixels_hwc: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Image.Image:
    return Image.fromarray(np.clip(pixels_hwc, 0, 255).astype(np.uint8), "RGB")
