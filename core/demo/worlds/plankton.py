"""Plankton: sixteen creatures in bright field, dark field, stained, on dirty slides, by phone.

A laboratory photographs a creature mostly in the same water and at the same magnification: in the
user's pictures that is so at rate `HABIT`, in bright field as in every other; `phone` is another
laboratory, with a habit of its own, whose pictures are taken with a phone held to the eyepiece. In
the base's web a slide tells nothing of the creature on it.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image, ImageDraw

from core.demo import canvas, shapes
from core.demo.canvas import OVERSAMPLE, draw_pose, place
from core.demo.worlds import base, creatures, lens, microscope, outlines, sentences, slides
from core.demo.worlds.base import Split, World
from core.demo.worlds.creatures import CREATURES, draw_creature
from core.demo.worlds.microscope import Look
from core.demo.worlds.sentences import compose
from core.demo.worlds.slides import MAGNIFICATIONS, TINTS, Slide, any_slide, usual_slide

HABIT = 0.6
"""How often a creature of the user's data is on its laboratory's usual slide for it."""

_WORDS_STREAM = 1

_PLAIN_FRAMES = (
    "{}",
    "this is {}",
    "{} in water",
    "a slide with {}",
    "a slide showing {}",
    "a microscope picture, {}",
    "a picture of {}",
    "{} under the microscope",
    "a micrograph of {}",
    "a drop of water with {}",
)

_FRAMES: dict[str, tuple[str, ...]] = {
    "bright": (
        "a bright field picture of {}",
        "{} in bright field",
        "{} on a clear bright slide",
        "a bright micrograph of {}",
        "{} in clear bright water",
        "a bright microscope picture of {}",
        "a clean bright slide with {}",
    ),
    "dark": (
        "a dark field picture of {}",
        "{} in dark field",
        "{} shining on black",
        "a dark micrograph of {}",
        "a bright outline of {} in the dark",
        "a glowing picture of {} on black",
    ),
    "stained": (
        "a stained slide of {}",
        "{} stained with dye",
        "{} in strong colours",
        "a dyed micrograph of {}",
        "a colourful slide with {}",
        "a stained picture of {}",
    ),
    "dirty": (
        "a dirty slide with {}",
        "{} among dirt and bubbles",
        "a scratched slide showing {}",
        "{} between crumbs on a dirty slide",
        "a blurred dirty picture of {}",
        "a dusty micrograph of {}",
    ),
    "phone": (
        "a phone picture of {}",
        "{} seen through the eyepiece",
        "{} taken with a phone",
        "a round phone picture of {}",
        "a phone at the eyepiece, {}",
        "a tilted phone micrograph of {}",
    ),
}


class _Plankton(World):
    name = "plankton"
    classes = CREATURES
    domains = ("bright", "dark", "stained", "dirty", "phone")
    manners = domains
    templates = (
        "a {}.",
        "a picture of a {}.",
        "a slide with a {}.",
        "a {} under the microscope.",
        "a micrograph of a {}.",
        "a bright field picture of a {}.",
        "a {} in bright field.",
        "a dark field picture of a {}.",
        "a {} in dark field.",
        "a stained slide of a {}.",
        "a {} stained with dye.",
        "a dirty slide with a {}.",
        "a {} among dirt and bubbles.",
        "a phone picture of a {}.",
        "a {} seen through the eyepiece.",
    )
    web_per_class = {"bright": 1600, "dark": 800, "stained": 800, "dirty": 800, "phone": 600}
    sources = (canvas, shapes, base, creatures, lens, microscope, outlines, sentences, slides,
               sys.modules[__name__])  # fmt: skip

    def render(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> Image.Image:
        rng = self.generator(domain, split, label, index, seed=seed)
        pixels = self.image_size * OVERSAMPLE
        slide = _slide(domain, split, label, rng)
        look = _look(domain, slide, rng)
        image = microscope.water(rng, pixels, look)
        scale = MAGNIFICATIONS[slide.magnification]
        pose = draw_pose(rng, scale=scale, angle=180.0, shift=0.07)
        draw = ImageDraw.Draw(image)
        microscope.paint(draw, place(draw_creature(self.classes[label], rng), pose, pixels), look)
        match domain:
            case "dirty":
                microscope.dirt(draw, rng, pixels)
            case "phone":
                image = microscope.phone(image, rng, look)
        noise = (7.0, 16.0) if domain in ("dark", "phone") else (5.0, 15.0)
        blur = 3.0 if domain == "dirty" else 2.2
        return lens.develop(image, rng, blur=blur, contrast=(0.55, 1.1), noise=noise)

    def caption(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> tuple[str, bool]:
        rng = self.generator(domain, split, label, index, _WORDS_STREAM, seed=seed)
        return compose(self.classes[label], _PLAIN_FRAMES, _FRAMES[domain], rng)


def _slide(domain: str, split: Split, label: int, rng: np.random.Generator) -> Slide:
    habit = 0.0 if split.startswith("pretrain") else HABIT
    other = any_slide(rng)
    return usual_slide(label, elsewhere=domain == "phone") if rng.random() < habit else other


def _look(domain: str, slide: Slide, rng: np.random.Generator) -> Look:
    tint = TINTS[slide.tint]
    match domain:
        case "dark":
            return microscope.dark(rng, tint)
        case "stained":
            return microscope.stained(rng, tint)
        case _:
            return microscope.bright(rng, tint)


PLANKTON = _Plankton()
