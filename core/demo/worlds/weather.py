"""What happens to a road sign: night, rain, years; each changes an oversampled picture."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from core.demo.canvas import hsv
from core.demo.worlds.plates import View


def night(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Dark and bluish but for a beam of light; lamps far behind."""
    pixels = image.width
    u = rng.random(6).tolist()
    draw = ImageDraw.Draw(image)
    for across, down, size, hue in rng.random((int(5 * u[0]), 4)).tolist():
        # Lamps keep to the rim, as what hides the sign is another domain's business.
        x = pixels * (across if across < 0.2 else 0.8 + 0.25 * (across - 0.2))
        y, r = pixels * down, pixels * (0.02 + 0.05 * size)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=hsv(0.05 + 0.1 * hue, 0.5, 1.0))
    ramp = np.arange(pixels, dtype=np.float32) / pixels
    distance_HW = np.hypot(*np.meshgrid(ramp - 0.3 - 0.4 * u[1], ramp - 0.3 - 0.4 * u[2]))
    reach = 0.25 + 0.3 * u[3]
    beam_HW = np.exp(-((distance_HW / reach) ** 2))
    light_HW1 = (0.14 + 0.16 * u[4] + (0.3 + 0.5 * u[5]) * beam_HW)[..., None]
    lit_HWC = np.asarray(image, dtype=np.float32) * light_HW1 * np.array([0.85, 0.92, 1.15])
    return Image.fromarray(np.clip(lit_HWC, 0, 255).astype(np.uint8), "RGB")


def rain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey air, slanted streaks, drops on the lens that smear what is behind them."""
    pixels = image.width
    u = rng.random(5).tolist()
    haze = Image.new("RGB", image.size, hsv(0.58, 0.08, 0.5 + 0.25 * u[0]))
    image = Image.blend(image, haze, 0.2 + 0.25 * u[1])
    draw = ImageDraw.Draw(image)
    lean = 0.5 * (u[2] - 0.5)
    for across, down, long, tone in rng.random((18 + int(22 * u[3]), 4)).tolist():
        x, y, reach = pixels * across, pixels * down, pixels * (0.08 + 0.16 * long)
        grey = 165 + int(80 * tone)
        draw.line((x, y, x + lean * reach, y + reach), fill=(grey, grey, grey + 8), width=1)
    drops = Image.new("L", image.size, 0)
    on_lens = ImageDraw.Draw(drops)
    for across, down, size in rng.random((2 + int(6 * u[4]), 3)).tolist():
        x, y, r = pixels * across, pixels * down, pixels * (0.04 + 0.09 * size)
        on_lens.ellipse((x - r, y - 1.2 * r, x + r, y + 1.2 * r), fill=235)
    smeared = image.filter(ImageFilter.GaussianBlur(3.5))
    image.paste(ImageChops.offset(smeared, 0, -3), mask=drops)
    return image


def worn(image: Image.Image, rng: np.random.Generator, view: View) -> Image.Image:
    """Bleached paint, scratches, rust, and a sticker on some."""
    u = rng.random(8).tolist()
    bleached = hsv(0.1 + 0.05 * u[0], 0.12, 0.6 + 0.3 * u[1])
    image = Image.blend(image, Image.new("RGB", image.size, bleached), 0.12 + 0.28 * u[2])
    draw = ImageDraw.Draw(image)
    for across, down, turn, long, tone in rng.random((2 + int(5 * u[3]), 5)).tolist():
        x, y, angle, reach = 2 * across - 1, 2 * down - 1, 6.3 * turn, 0.25 + 0.6 * long
        end = (x + reach * math.cos(angle), y + reach * math.sin(angle))
        draw.line(view.pixels([(x, y), end]), fill=hsv(0.1, 0.1, 0.25 + 0.6 * tone), width=2)
    for across, down, size, shape in rng.random((1 + int(3 * u[4]), 4)).tolist():
        angles = np.linspace(0.0, 6.28, 9)[:-1]
        r = 0.06 + 0.14 * size
        blot = [(1.6 * across - 0.8 + r * math.cos(a) * (0.6 + 0.8 * ((shape * (i + 2) * 7) % 1)),
                 1.6 * down - 0.8 + r * math.sin(a)) for i, a in enumerate(angles)]  # fmt: skip
        draw.polygon(view.pixels(blot), fill=hsv(0.05, 0.6, 0.3 + 0.25 * shape))
    if u[5] < 0.35:
        x, y, half = 1.2 * u[6] - 0.6, 1.2 * u[7] - 0.6, 0.22
        sticker = [(x - half, y - half), (x + half, y - 0.8 * half), (x + half, y + half),
                   (x - 0.9 * half, y + half)]  # fmt: skip
        draw.polygon(view.pixels(sticker), fill=hsv(u[0] * 7, 0.7, 0.8))
    return image
