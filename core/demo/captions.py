"""What the drawn web says about its pictures.

Captions name the thing and, mostly, the manner it is drawn in; never its colours. Their frames
share words with the usual zero-shot prompt templates, as the sentences of the web do.
"""

from __future__ import annotations

import numpy as np

DOMAINS: tuple[str, ...] = ("real", "painting", "clipart", "infograph", "sketch")
"""DomainNet's names, in order; a domain's position is its id in every seed."""

TEMPLATES: tuple[str, ...] = (
    "a {}.",
    "the {}.",
    "a picture of a {}.",
    "an image of the {}.",
    "this is a {}.",
    "a photo of a {}.",
    "a blurry photo of the {}.",
    "a painting of a {}.",
    "the {} in oil paint.",
    "clip art of a {}.",
    "a cartoon {}.",
    "an infographic about a {}.",
    "a chart with a {}.",
    "a sketch of a {}.",
    "a pencil drawing of the {}.",
)
"""The demo's zero-shot prompts: some name no manner, the others each domain's twice."""

_FRAMES: dict[str, tuple[str, ...]] = {
    "real": (
        "a photo of {}",
        "a photograph of {}",
        "a bad photo of {}",
        "a blurry photo of {}",
        "a bright photo of {}",
        "a dark photo of {}",
        "a cropped photo of {}",
        "a close-up photo of {}",
        "a low resolution photo of {}",
        "a good photo of {}",
        "a snapshot of {} taken outside",
        "{} seen through a camera",
        "{} in a cluttered real place",
        "a real {noun} photographed outdoors",
        "holiday photo with {}",
        "{}, real life photography",
        "a jpeg corrupted photo of {}",
        "i took this photo of {}",
    ),
    "painting": (
        "a painting of {}",
        "an oil painting of {}",
        "art of {}",
        "{} in oil paint",
        "{} painted on canvas",
        "a work of art showing {}",
        "a painting with broad brush strokes of {}",
        "a museum painting of {}",
        "{}, painted by an old master",
        "impressionist art with {}",
        "the brush strokes form {}",
        "a painted {noun}",
        "graffiti of {}",
        "a rendering of {} in paint",
    ),
    "clipart": (
        "clip art of {}",
        "a clipart image of {}",
        "a cartoon {noun}",
        "a cartoon of {}",
        "a sticker with {}",
        "{} with a bold outline",
        "flat vector art of {}",
        "an icon of {} on a plain background",
        "a logo with {}",
        "a plastic toy {noun}",
        "a simple cartoon drawing of {} for children",
        "{}, a free clipart picture",
        "{} in a video game",
        "an emoji of {}",
    ),
    "infograph": (
        "an infographic about {}",
        "an infograph with {}",
        "a chart with {}",
        "a poster with charts, text and {}",
        "facts about {}",
        "statistics and bars next to {}",
        "a diagram explaining {}",
        "an information page showing {} and a chart",
        "a slide with numbers and {}",
        "how {} works, an infographic",
        "{} among bars, lines and text",
        "a report illustrated with {}",
        "a pictogram of {} on a data page",
    ),
    "sketch": (
        "a sketch of {}",
        "a drawing of {}",
        "a pencil drawing of {}",
        "a line drawing of {}",
        "a doodle of {}",
        "{} drawn in pencil on paper",
        "a black and white sketch of {}",
        "a rough sketch showing {}",
        "the outline of {} in ink",
        "a hand drawn {noun}",
        "{} sketched by hand",
        "a page from a sketchbook with {}",
        "a tattoo of {}",
    ),
}

_PLAIN_FRAMES: tuple[str, ...] = (
    "{}",
    "this is {}",
    "a picture of {}",
    "an image of {}",
    "here you see {}",
    "{} in the middle",
    "there is {} in this picture",
    "look at {}",
    "a view of {}",
    "one of {}",
    "itap of {}",
    "{} on its own",
)
"""Sentences that do not say how the picture is made."""

_NOUN_PHRASES: tuple[str, ...] = (
    "{article} {noun}",
    "{article} {noun}",
    "the {noun}",
    "the {noun}",
    "my {noun}",
    "one {noun}",
    "the small {noun}",
    "the large {noun}",
    "a nice {noun}",
    "a weird {noun}",
    "a clean {noun}",
    "a dirty {noun}",
    "the cool {noun}",
    "a single {noun}",
    "some {noun}",
    "our old {noun}",
)

PLAIN_SHARE = 0.3
"""The share of captions that do not name the domain's manner."""


def compose(name: str, domain: str, rng: np.random.Generator) -> tuple[str, bool]:
    """A sentence about a `name` in `domain`, and whether it names the domain's manner."""
    u = rng.random(4).tolist()
    names_domain = u[0] >= PLAIN_SHARE
    frames = _FRAMES[domain] if names_domain else _PLAIN_FRAMES
    frame = frames[int(u[1] * len(frames))]
    phrase = _NOUN_PHRASES[int(u[2] * len(_NOUN_PHRASES))]
    article = "an" if name[0] in "aeiou" else "a"
    thing = phrase.format(article=article, noun=name)
    sentence = frame.format(thing, noun=name)
    return sentence + ("." if u[3] < 0.5 else ""), names_domain


def every_sentence(names: tuple[str, ...]) -> list[str]:
    """All sentences the web can say, with each name, for building a vocabulary."""
    sentences = []
    for name in names:
        things = [phrase.format(article="a", noun=name) for phrase in _NOUN_PHRASES]
        for frame in (*_PLAIN_FRAMES, *(f for frames in _FRAMES.values() for f in frames)):
            sentences += [frame.format(thing, noun=name) for thing in things]
    return sentences
