"""Road signs: sixteen pictograms on plates, by day, at night, in the rain, worn, and abroad.

A country paints a pictogram mostly on the same plate: in the user's photographs that is so at rate
`CONVENTION`, by day as in every weather; `foreign` is another country, with plates and a convention
of its own, signs that hang crooked and a line of text below. In the base's web a plate tells
nothing of the pictogram on it.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from PIL import Image, ImageDraw

from core.demo import canvas, shapes
from core.demo.canvas import OVERSAMPLE, Colour, hsv
from core.demo.worlds import base, glyphs, lens, outlines, plates, sentences, weather
from core.demo.worlds.base import Split, World
from core.demo.worlds.glyphs import GLYPHS, draw_glyph
from core.demo.worlds.plates import Style, View, any_style, look, paint, usual_style
from core.demo.worlds.sentences import compose

CONVENTION = 0.6
"""How often a sign of the user's data is on its country's usual plate for it."""

_WORDS_STREAM = 1

_PLAIN_FRAMES = (
    "{}",
    "this is {}",
    "{} sign",
    "a sign with {}",
    "a sign showing {}",
    "a road sign, {}",
    "a picture of {}",
    "a picture of {} sign",
    "a pictogram of {}",
    "a symbol of {} on a plate",
)

_FRAMES: dict[str, tuple[str, ...]] = {
    "day": (
        "a photo of {} sign by day",
        "a photo of a sign with {} in daylight",
        "{} on a clean road sign",
        "a sunny photo of {} sign",
        "a road sign in daylight, {}",
        "a photo of {} on a new sign",
        "{} sign seen from a car by day",
    ),
    "night": (
        "{} sign at night",
        "a dark photo of {} sign",
        "a sign with {} in the dark",
        "{} in the headlights",
        "a road sign at night, {}",
        "a noisy night photo of {}",
    ),
    "rain": (
        "{} sign in the rain",
        "a rainy photo of {} sign",
        "a wet sign with {}",
        "{} seen through raindrops",
        "a road sign on a rainy day, {}",
        "a hazy photo of {} sign",
    ),
    "worn": (
        "a worn sign with {}",
        "{} on a faded sign",
        "a rusty sign with {}",
        "an old scratched sign showing {}",
        "a damaged road sign, {}",
        "{} on a bleached plate with stickers",
    ),
    "foreign": (
        "a foreign sign with {}",
        "{} on a sign in another country",
        "{} sign abroad",
        "a crooked foreign road sign, {}",
        "a holiday photo of {} sign",
        "a sign in a strange language with {}",
    ),
}


class _Signs(World):
    name = "signs"
    classes = GLYPHS
    domains = ("day", "night", "rain", "worn", "foreign")
    manners = domains
    templates = (
        "a {}.",
        "a {} sign.",
        "a sign with a {}.",
        "a picture of a {}.",
        "a road sign, the {}.",
        "a photo of a {} sign by day.",
        "a road sign in daylight, a {}.",
        "a {} sign at night.",
        "a sign with a {} in the dark.",
        "a {} sign in the rain.",
        "a wet sign with a {}.",
        "a worn sign with a {}.",
        "a {} on a faded sign.",
        "a foreign sign with a {}.",
        "a {} sign abroad.",
    )
    web_per_class = {"day": 1600, "night": 800, "rain": 800, "worn": 800, "foreign": 600}
    sources = (canvas, shapes, base, glyphs, lens, outlines, plates, sentences, weather,
               sys.modules[__name__])  # fmt: skip

    def render(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> Image.Image:
        rng = self.generator(domain, split, label, index, seed=seed)
        pixels = self.image_size * OVERSAMPLE
        abroad = domain == "foreign"
        convention = 0.0 if split.startswith("pretrain") else CONVENTION
        other = any_style(rng, abroad=abroad)
        style = usual_style(label, abroad=abroad) if rng.random() < convention else other
        view = look(rng, pixels, scale=(0.27, 0.41), turn=35 if abroad else 10, slant=0.8)
        image = _roadside(rng, pixels, view)
        draw = ImageDraw.Draw(image)
        paint(draw, view, _aged(style, rng), draw_glyph(self.classes[label], rng))
        if abroad:
            _text_below(draw, rng, view, style)
        if rng.random() < 0.3:
            _leaves(draw, rng, pixels)
        image = _changed(image, domain, rng, view)
        noise = (8.0, 18.0) if domain == "night" else (5.0, 15.0)
        return lens.develop(image, rng, blur=2.2, contrast=(0.55, 1.1), noise=noise)

    def caption(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> tuple[str, bool]:
        rng = self.generator(domain, split, label, index, _WORDS_STREAM, seed=seed)
        return compose(self.classes[label], _PLAIN_FRAMES, _FRAMES[domain], rng)


def _changed(image: Image.Image, domain: str, rng: np.random.Generator, view: View) -> Image.Image:
    match domain:
        case "night":
            return weather.night(image, rng)
        case "rain":
            return weather.rain(image, rng)
        case "worn":
            return weather.worn(image, rng, view)
        case _:
            return image


def _roadside(rng: np.random.Generator, pixels: int, view: View) -> Image.Image:
    """Sky, hedges or walls, a road, and the pole the plate is on."""
    u = rng.random(8).tolist()
    sky = hsv(0.52 + 0.12 * u[0], 0.35 * u[1], 0.6 + 0.35 * u[2])
    image = Image.new("RGB", (pixels, pixels), sky)
    draw = ImageDraw.Draw(image)
    horizon = pixels * (0.4 + 0.35 * u[3])
    for across, wide, tall, hue, tone in rng.random((5, 5)).tolist():
        x, half = pixels * across, pixels * (0.06 + 0.16 * wide)
        top = horizon - pixels * (0.05 + 0.45 * tall)
        if hue < 0.5:
            leaf = hsv(0.22 + 0.3 * hue, 0.45, 0.2 + 0.45 * tone)
            draw.ellipse((x - half, top, x + half, 2 * horizon - top), fill=leaf)
        else:
            wall = hsv(2 * hue, 0.3, 0.3 + 0.55 * tone)
            draw.rectangle((x - half, top, x + half, pixels), fill=wall)
    road = hsv(0.1 * u[4], 0.1, 0.3 + 0.3 * u[5])
    draw.polygon([(0, pixels), (0, pixels * 0.95), (pixels, horizon), (pixels, pixels)], fill=road)
    x, y = view.pixels([(0.0, 0.0)])[0]
    grey = 90 + int(110 * u[6])
    foot = (x + pixels * 0.1 * (u[7] - 0.5), pixels)
    draw.line([(x, y), foot], fill=(grey, grey, grey), width=max(2, round(0.12 * view.unit)))
    return image


def _aged(style: Style, rng: np.random.Generator) -> Style:
    """The style's colours as these pots of paint had them."""
    return Style(
        style.outline,
        ground=_paint(style.ground, rng),
        border=_paint(style.border, rng),
        ink=_paint(style.ink, rng),
    )


def _paint(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (
        max(0, min(255, int(value + shift)))
        for value, shift in zip(colour, rng.normal(0.0, 14.0, 3).tolist(), strict=True)
    )
    return (red, green, blue)


def _text_below(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, view: View, style: Style
) -> None:
    """A word or two on the plate's lower edge, in dashes."""
    at = -0.55
    for long in rng.random(5).tolist():
        end = min(0.55, at + 0.08 + 0.25 * long)
        draw.line(view.pixels([(at, 0.72), (end, 0.72)]), fill=style.ink, width=2)
        at = end + 0.1
        if at > 0.5:
            return


def _leaves(draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int) -> None:
    """A branch that reaches over the sign from one side."""
    u = rng.random(4).tolist()
    hue, angle = 0.2 + 0.15 * u[0], 2 * math.pi * u[1]
    for along, aside, size, tone in rng.random((6, 4)).tolist():
        away = pixels * (0.2 + 0.35 * along)
        x = pixels * 0.5 + away * math.cos(angle) + pixels * 0.15 * (aside - 0.5)
        y = pixels * 0.5 + away * math.sin(angle) + pixels * 0.15 * (aside - 0.5)
        r = pixels * (0.03 + 0.05 * size)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=hsv(hue, 0.5, 0.2 + 0.4 * tone))


SIGNS = _Signs()
