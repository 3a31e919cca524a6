"""Corruptions at all severities on one page, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from core.learning.shifts import CORRUPTIONS, SEVERITIES, corrupt

_CELL = 112  # pixels, the longer side of a picture on the sheet
_GAP = 4
_MARGIN = 110  # for the names


def contact_sheet(
    images: Sequence[Image.Image],
    seed: int,
    *,
    keys: Sequence[str] | None = None,
    names: Sequence[str] = CORRUPTIONS,
) -> Image.Image:
    """A row a corruption: the image itself, then severities 1 to 5; rows take turns in `images`.

    `keys` are the images' own, as `corrupt` takes them; their numbers when absent. Small images
    are enlarged in whole pixels, so that what is seen is what a model gets. Raises ValueError when
    there are no images.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image; none was given")
    keys = [str(index) for index in range(len(images))] if keys is None else keys
    step = _CELL + _GAP
    size = (_MARGIN + (len(SEVERITIES) + 1) * step, len(names) * step)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        draw.text((_GAP, row * step + _CELL // 2), name, fill="black")
        image, key = images[row % len(images)], keys[row % len(images)]
        shown = [image, *(corrupt(image, name, s, seed=seed, key=key) for s in SEVERITIES)]
        for column, each in enumerate(shown):
            sheet.paste(_fitted(each), (_MARGIN + column * step, row * step))
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    if longest <= _CELL:
        factor = _CELL // longest
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    fitted = image.copy()
    fitted.thumbnail((_CELL, _CELL))
    return fitted
