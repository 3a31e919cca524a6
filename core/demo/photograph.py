"""The `real` domain: a shaded, textured object in a cluttered scene, seen by a poor camera.

A set of photographs has habits: the same things turn up in the same places and colours. `habit`
says how strong they are. The photographs in the pre-training web have none (0); the demo's own
`real` split has some (`world.HABIT`), which is what fine-tuning on it can latch on to and what
fails it in every other domain.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from core.demo.canvas import OVERSAMPLE, Palette, draw_pose, fill, hsv, place, silhouette
from core.demo.shapes import CLASSES, Shape, draw_shape

_GOLDEN = 0.381966
"""Successive multiples of the golden angle never bunch up, so every class has its own hue."""


class _Scene(NamedTuple):
    """A place: hues of its sky and ground, their lightness, and the rubbish it is strewn with."""

    sky: float
    ground: float
    value: float
    clutter: int


def photograph(
    shape: Shape, rng: np.random.Generator, size: int, *, label: int, habit: float
) -> Image.Image:
    """A picture of class `label`, its colours and place the class's usual ones at rate `habit`."""
    pixels = size * OVERSAMPLE
    u = rng.random(16).tolist()
    scene = _home(label) if u[0] < habit else _Scene(u[1], u[2], 0.3 + 0.6 * u[3], int(4 * u[4]))
    hue = label * _GOLDEN + 0.04 * (u[6] - 0.5) if u[5] < habit else u[6]
    image = _ground(rng, scene, pixels, horizon=0.35 + 0.5 * u[7])
    draw = ImageDraw.Draw(image)
    _clutter(draw, rng, scene, pixels, count=3 + int(4 * u[8]))
    pose = draw_pose(rng, scale=(0.28, 0.46), angle=35, shift=0.12)
    parts = place(shape, pose, pixels)
    # Light things in dark places and the reverse, but not always: poor contrast is part of the job.
    bright = scene.value < 0.6 if u[9] < 0.8 else scene.value >= 0.6
    value = 0.65 + 0.3 * u[10] if bright else 0.2 + 0.3 * u[10]
    palette: Palette = {
        "body": hsv(hue, 0.3 + 0.6 * u[11], value),
        "accent": hsv(hue + 0.1 + 0.2 * u[12], 0.4 + 0.4 * u[11], value * 0.8),
        "light": hsv(hue + 0.05, 0.15, min(1.0, value + 0.3)),
        "dark": hsv(hue, 0.4, value * 0.35),
    }
    shadow = place(shape, pose._replace(x=pose.x + 0.04, y=pose.y + 0.05), pixels)
    shade = hsv(scene.ground, 0.4, scene.value * 0.5)
    fill(draw, shadow, dict.fromkeys(palette, shade))
    fill(draw, parts, palette)
    mask = np.asarray(silhouette(parts, pixels).reduce(OVERSAMPLE), dtype=np.float32)[..., None]
    if u[13] < 0.4:
        _occluder(draw, rng, scene, pixels)
    if u[14] < 0.5:
        image = image.filter(ImageFilter.BoxBlur(0.4 + 1.6 * u[15]))
    pixels_hwc = np.asarray(image.reduce(OVERSAMPLE), dtype=np.float32)
    return _camera(pixels_hwc, mask / 255.0, rng, size)


def _home(label: int) -> _Scene:
    """Where class `label` is usually found."""
    name = CLASSES[label]
    place_index = (label * 7 + len(name)) % len(CLASSES)
    sky = place_index * _GOLDEN + 0.5
    return _Scene(sky, sky + 0.15, 0.35 + 0.5 * ((label * 3) % 5) / 4, label % 4)


def _ground(rng: np.random.Generator, scene: _Scene, pixels: int, horizon: float) -> Image.Image:
    """Sky above ground, both mottled by noise at two scales."""
    image = Image.new("RGB", (pixels, pixels), hsv(scene.sky, 0.35, scene.value))
    draw = ImageDraw.Draw(image)
    ground = hsv(scene.ground, 0.45, scene.value * 0.8)
    draw.rectangle((0, int(pixels * horizon), pixels, pixels), fill=ground)
    cells = 4 + int(6 * rng.random())
    mottle = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8), "RGB")
    mottled = mottle.resize((pixels, pixels), Image.Resampling.BILINEAR)
    return Image.blend(image, mottled, 0.15 + 0.3 * rng.random())


def _clutter(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, scene: _Scene, pixels: int, count: int
) -> None:
    """Stones, sticks, panels or leaves: every place has its own kind of rubbish."""
    u = rng.random((count, 8)).tolist()
    for across, down, wide, high, hue, bright, turn, saturation in u:
        x, y = across * pixels, down * pixels
        rx, ry = pixels * (0.03 + 0.16 * wide), pixels * (0.03 + 0.16 * high)
        colour = hsv(hue, 0.7 * saturation, 0.15 + 0.8 * bright)
        if scene.clutter == 0:
            draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)
        elif scene.clutter == 1:
            dx, dy = 2.5 * rx * math.cos(6.28 * turn), 2.5 * rx * math.sin(6.28 * turn)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=3)
        elif scene.clutter == 2:
            draw.rectangle((x - rx, y - ry, x + rx, y + ry), fill=colour)
        else:
            draw.polygon((x - rx, y, x, y - ry, x + rx, y + 0.4 * ry, x, y + ry), fill=colour)
    if u[0][0] < 0.35:
        # A fragment of some other thing at the edge of the picture.
        other = draw_shape(CLASSES[int(u[0][1] * len(CLASSES))], rng)
        pose = draw_pose(rng, scale=(0.12, 0.2), angle=180, shift=0.0)
        corner = pose._replace(x=float(u[0][2] < 0.5), y=u[0][3])
        tint = hsv(u[0][4], 0.5, 0.3 + 0.5 * u[0][5])
        fill(
            draw,
            place(other, corner, pixels),
            {"body": tint, "accent": tint, "light": tint, "dark": tint},
        )


def _occluder(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, scene: _Scene, pixels: int
) -> None:
    """Something in front: a post, a branch or a blob."""
    x, y, wide, turn, hue = rng.random(5).tolist()
    colour = hsv(scene.ground + 0.3 * (hue - 0.5), 0.45, scene.value * 0.7)
    x, y = pixels * (0.15 + 0.7 * x), pixels * (0.15 + 0.7 * y)
    if turn < 0.4:
        radius = pixels * (0.06 + 0.1 * wide)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    dx, dy = pixels * math.cos(9.0 * turn), pixels * math.sin(9.0 * turn)
    draw.line(
        (x - dx, y - dy, x + dx, y + dy), fill=colour, width=int(pixels * (0.04 + 0.1 * wide))
    )


def _camera(
    pixels_hwc: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    mask_hw1: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    rng: np.random.Generator,
    size: int,
) -> Image.Image:
    """Light from one side, grain on the object, then contrast, white balance and sensor noise."""
    u = rng.random(8)
    angle = 2 * math.pi * u[0]
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    light = np.add.outer(ramp * np.float32(math.sin(angle)), ramp * np.float32(math.cos(angle)))
    shading = 1.0 + (0.15 + 0.25 * mask_hw1) * np.float32(u[1]) * light[..., None]
    phase = np.add.outer(
        np.arange(size, dtype=np.float32) * np.float32(2.4 * u[2] - 1.2),
        np.arange(size, dtype=np.float32) * np.float32(2.4 * u[3] - 1.2),
    )
    texture = mask_hw1 * np.float32(30.0 * u[4]) * np.sin(phase)[..., None]
    balance = (0.85 + 0.3 * rng.random(3)).astype(np.float32)
    contrast = np.float32(0.5 + 0.6 * u[5])
    middle = np.float32(110.0 + 40.0 * u[6])
    noise = rng.normal(0.0, 5.0 + 11.0 * u[7], (size, size, 3)).astype(np.float32)
    seen = ((pixels_hwc + texture) * shading * balance - 128.0) * contrast + middle + noise
    return Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8), "RGB")
