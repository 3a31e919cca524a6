"""Some images of a split on one picture: what a person sees at a glance and no number says.

Wrong labels, rotated scans, a border that gives the class away. Equal archives give equal sheets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from PIL import Image, ImageDraw

from core.datasets.archive import Archive
from core.datasets.images import UnreadableImage, preview
from core.datasets.layout import Layout
from core.datasets.limits import Limits
from core.datasets.structure import sorted_classes

COLUMNS, ROWS = 12, 8
CELL = 112  # pixels, the longer side of an image on the sheet
_GAP = 6  # pixels around a cell
_CAPTION = 16  # pixels, the height of a line below it
_CAPTION_CHARACTERS = 18
# Decoding the largest images accepted takes a second each; beyond this the rest is left out.
MAX_PIXELS = 500_000_000
_INK, _PAPER, _BLANK = (40, 40, 40), (255, 255, 255), (225, 225, 225)


def contact_sheet(archive: Archive, layout: Layout, split: str, limits: Limits) -> Image.Image:
    """Up to 96 images of the split: of each class as many, by class; as they lie in the archive.

    Of more classes than that, one image of each of 96. An image that cannot be read is a blank.
    """
    chosen = _choose(archive, layout, split)
    pictures = dict(_pictures(archive, chosen, limits))
    # What there was no time for is left out.
    drawn = [(pictures[name], [chosen[name]]) for name in chosen if name in pictures]
    return _paste(drawn, lines=1)


def named_sheet(archive: Archive, captions: dict[str, list[str]], limits: Limits) -> Image.Image:
    """These images of the archive, at least one, in that order, with the lines under each.

    As many lines for every image. One that the archive lacks, that cannot be read or that there
    was no time for is a blank: which image is where is known without looking.
    """
    there = captions.keys() & {entry.name for entry in archive.entries}
    pictures = dict(_pictures(archive, there, limits))
    drawn = [(pictures.get(name) or _blank(), lines) for name, lines in captions.items()]
    return _paste(drawn, lines=len(drawn[0][1]))


def _paste(drawn: list[tuple[Image.Image, list[str]]], lines: int) -> Image.Image:
    rows = -(-len(drawn) // COLUMNS)
    width, height = CELL + _GAP, CELL + lines * _CAPTION + _GAP
    columns = max(1, min(len(drawn), COLUMNS))
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (image, captions) in enumerate(drawn):
        left, top = _GAP + number % COLUMNS * width, _GAP + number // COLUMNS * height
        sheet.paste(image, (left + (CELL - image.width) // 2, top + (CELL - image.height) // 2))
        for line, text in enumerate(captions):
            draw.text((left, top + CELL + 1 + line * _CAPTION), _caption(text), fill=_INK)
    return sheet


def _choose(archive: Archive, layout: Layout, split: str) -> dict[str, str]:
    """Class by image name, in the sheet's order."""
    classes: dict[str, list[str]] = {}
    for entry in archive.entries:
        place = layout.place(entry.name)
        if place is not None and place[0] == split:
            classes.setdefault(place[1], []).append(entry.name)
    shown = _spread(sorted_classes(classes), COLUMNS * ROWS)
    each = COLUMNS * ROWS // max(1, len(shown))
    return {name: key for key in shown for name in _spread(classes[key], each)}


def _spread(items: Sequence[str], most: int) -> list[str]:
    """At most so many of them, evenly spread over all."""
    count = min(len(items), most)
    return [items[number * len(items) // count] for number in range(count)]


def _pictures(
    archive: Archive, chosen: Collection[str], limits: Limits
) -> Iterator[tuple[str, Image.Image]]:
    """In the archive's order, which it is read in once."""
    spent = 0
    for name, data in archive.iterate(chosen):
        if spent > MAX_PIXELS:
            return
        try:
            picture, decoded = preview(data, limits, CELL)
        except UnreadableImage:
            picture, decoded = _blank(), 0
        spent += decoded
        yield name, _enlarged(picture)


def _enlarged(image: Image.Image) -> Image.Image:
    """In whole pixels, so that what is seen of a small image is what a model gets."""
    factor = CELL // max(image.size)
    if factor < 2:
        return image
    size = (image.width * factor, image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST)


def _blank() -> Image.Image:
    blank = Image.new("RGB", (CELL, CELL), _BLANK)
    draw = ImageDraw.Draw(blank)
    draw.line((0, 0, CELL, CELL), fill=_PAPER, width=3)
    draw.line((0, CELL, CELL, 0), fill=_PAPER, width=3)
    return blank


def _caption(text: str) -> str:
    if len(text) <= _CAPTION_CHARACTERS:
        return text
    return f"{text[: _CAPTION_CHARACTERS - 1]}…"
