"""Putting a caption together: a frame, a noun phrase, sometimes a full stop."""

from __future__ import annotations

import numpy as np

NOUN_PHRASES: tuple[str, ...] = (
    "{article} {noun}",
    "{article} {noun}",
    "the {noun}",
    "the {noun}",
    "one {noun}",
    "the small {noun}",
    "a large {noun}",
    "a nice {noun}",
    "some {noun}",
    "a single {noun}",
    "that {noun}",
    "an odd {noun}",
)

PLAIN_SHARE = 0.3
"""The share of captions that do not name the picture's manner, as in the demo's world."""


def compose(
    noun: str, plain: tuple[str, ...], named: tuple[str, ...], rng: np.random.Generator
) -> tuple[str, bool]:
    """A sentence about a `noun` from one of the frames, and whether it names the manner."""
    u = rng.random(4).tolist()
    names_manner = u[0] >= PLAIN_SHARE
    frames = named if names_manner else plain
    frame = frames[int(u[1] * len(frames))]
    phrase = NOUN_PHRASES[int(u[2] * len(NOUN_PHRASES))]
    article = "an" if noun[0] in "aeiou" else "a"
    sentence = frame.format(phrase.format(article=article, noun=noun))
    return sentence + ("." if u[3] < 0.5 else ""), names_manner
