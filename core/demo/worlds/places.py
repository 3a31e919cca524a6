"""Birds before backgrounds that mislead, in the manner of Waterbirds (Sagawa et al., 2020).

Four pairs of like birds, one of water and one of land. In the user's photographs a bird stands in
its usual place 95 times in 100; the shifted splits break that: `balanced` half the time,
`reversed` 5 times in 100, `unseen_backgrounds` in three places the user's photographs never show.
In the base's web, places and birds are independent.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image, ImageDraw

from core.demo import canvas, shapes
from core.demo.canvas import OVERSAMPLE, Palette, draw_pose, fill, hsv, place
from core.demo.worlds import base, birds, landscapes, lens, outlines, sentences
from core.demo.worlds.base import Split, World
from core.demo.worlds.birds import BIRDS, WATER_BIRDS, draw_bird
from core.demo.worlds.landscapes import AWAY, HOME, landscape
from core.demo.worlds.sentences import compose

BLOCK = 20
"""Pictures of a class in a row among which places are dealt out exactly, in random order."""

AGREEING: dict[str, int] = {"habitat": 19, "balanced": 10, "reversed": 1}
"""How many of a block's birds are in their usual place, in the user's splits."""

_WORDS_STREAM = 1
_PLACES_STREAM = 2

_PLAIN_FRAMES = (
    "{}",
    "this is {}",
    "a picture of {}",
    "a photo of {}",
    "a blurry photo of {}",
    "a dark photo of {}",
    "a close-up photo of {}",
    "{} seen through binoculars",
    "bird watching, {}",
    "a bird, {}",
)

_PLACE_FRAMES: dict[str, tuple[str, ...]] = {
    "water": (
        "{} on the water",
        "a photo of {} on water",
        "{} at the lake",
        "{} by the sea",
        "{} among the waves",
        "{} on a pond",
        "{} in front of a river",
    ),
    "land": (
        "{} on land",
        "a photo of {} on land",
        "{} in the forest",
        "{} on the grass",
        "{} under the trees",
        "{} in a meadow",
        "{} in front of a wood",
    ),
    "snow": (
        "{} on snow",
        "a photo of {} in the snow",
        "{} in winter",
        "{} on a white field with firs",
        "{} in front of snow",
    ),
    "sand": (
        "{} on sand",
        "a photo of {} in the desert",
        "{} on a dune",
        "{} near a cactus",
        "{} in front of sand",
    ),
    "city": (
        "{} in the city",
        "a photo of {} in a street",
        "{} on the pavement",
        "{} below windows",
        "{} in front of a house wall",
    ),
}


class _Places(World):
    name = "places"
    classes = BIRDS
    domains = ("habitat", "balanced", "reversed", "unseen_backgrounds")
    manners = (*HOME, *AWAY)
    templates = (
        "a {}.",
        "the {}.",
        "a photo of a {}.",
        "a picture of a {}.",
        "a blurry photo of the {}.",
        "a {} on the water.",
        "a photo of a {} at the lake.",
        "a {} on land.",
        "a photo of a {} in the forest.",
        "a {} on snow.",
        "a {} on sand.",
        "a {} in the city.",
    )
    # In the web, `balanced` and `reversed` would only be more of `habitat`.
    web_per_class = {"habitat": 3000, "unseen_backgrounds": 1200}
    sources = (canvas, shapes, base, birds, landscapes, lens, outlines, sentences,
               sys.modules[__name__])  # fmt: skip

    def render(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> Image.Image:
        rng = self.generator(domain, split, label, index, seed=seed)
        pixels = self.image_size * OVERSAMPLE
        kind = self.manner(domain, split, label, index, seed=seed)
        image = landscape(kind, rng, pixels)
        _stand(image, rng, self.classes[label], pixels)
        return lens.develop(image, rng, blur=2.0, contrast=(0.5, 1.05), noise=(5.0, 16.0))

    def caption(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> tuple[str, bool]:
        rng = self.generator(domain, split, label, index, _WORDS_STREAM, seed=seed)
        kind = self.manner(domain, split, label, index, seed=seed)
        return compose(self.classes[label], _PLAIN_FRAMES, _PLACE_FRAMES[kind], rng)

    def manner(self, domain: str, split: Split, label: int, index: int, *, seed: int = 0) -> str:
        """The place the bird stands in, exact in every block of the class's pictures."""
        away = domain == "unseen_backgrounds"
        size = len(AWAY) if away else BLOCK
        block = self.generator(domain, split, label, index // size, _PLACES_STREAM, seed=seed)
        turn = int(block.permutation(size)[index % size])
        if away:
            return AWAY[turn]
        agreeing = BLOCK // 2 if split.startswith("pretrain") else AGREEING[domain]
        usual = self.classes[label] in WATER_BIRDS
        return HOME[0] if usual == (turn < agreeing) else HOME[1]

    def groups(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> str | None:
        """Bird and place, as in `duck on land`."""
        kind = self.manner(domain, split, label, index, seed=seed)
        return f"{self.classes[label]} on {kind}"


def _stand(image: Image.Image, rng: np.random.Generator, name: str, pixels: int) -> None:
    """A bird of any colour in the picture, often with something before it."""
    draw = ImageDraw.Draw(image)
    u = rng.random(10).tolist()
    shape = draw_bird(name, rng)
    pose = draw_pose(rng, scale=(0.27, 0.44), angle=18, shift=0.13)
    value = 0.2 + 0.75 * u[0]
    palette: Palette = {
        "body": hsv(u[1], 0.6 * u[2], value),
        "accent": hsv(u[1] + 0.3 * (u[3] - 0.5), 0.15 + 0.6 * u[4], (value + 0.2 + 0.5 * u[5]) % 1),
        "light": hsv(u[6], 0.1, min(1.0, value + 0.25)),
        "dark": hsv(u[6], 0.3, 0.12 + 0.15 * u[7]),
    }
    fill(draw, place(shape, pose, pixels), palette)
    if u[8] < 0.35:
        _twig(draw, rng, pixels)


def _twig(draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int) -> None:
    x, y, turn, wide, tone = rng.random(5).tolist()
    angle = 3.2 * turn
    dx, dy = pixels * np.cos(angle), pixels * np.sin(angle)
    x, y = pixels * (0.2 + 0.6 * x), pixels * (0.2 + 0.6 * y)
    colour = hsv(0.08, 0.4, 0.15 + 0.6 * tone)
    draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=2 + int(4 * wide))


PLACES = _Places()
