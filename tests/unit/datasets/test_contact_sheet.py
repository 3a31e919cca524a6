"""Some images of a split on one picture."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from core.datasets import contact_sheet as room
from core.datasets.archive import open_archive
from core.datasets.contact_sheet import CELL, COLUMNS, ROWS, contact_sheet, named_sheet
from core.datasets.limits import Limits
from core.datasets.structure import inspect_archive

from .conftest import Saver
from .trees import as_tar, as_zip

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form)
    return out.getvalue()


def sheet_of(data: bytes, save: Saver, limits: Limits, split: str = "train") -> Image.Image:
    with open_archive(save(data), limits) as archive:
        return contact_sheet(archive, inspect_archive(archive, limits).layout, split, limits)


def cells(sheet: Image.Image, count: int) -> list[tuple[int, int, int]]:
    """The colour in the middle of each of the first cells."""
    columns = (sheet.width - room._GAP) // (CELL + room._GAP)
    pixels = np.asarray(sheet)
    found = []
    for number in range(count):
        x = room._GAP + number % columns * (CELL + room._GAP) + CELL // 2
        y = room._GAP + number // columns * (CELL + room._CAPTION + room._GAP) + CELL // 2
        found.append(tuple(int(value) for value in pixels[y, x]))
    return found


@pytest.mark.parametrize("pack", [as_zip, as_tar])
def test_each_class_has_its_row_in_the_sheet(save: Saver, limits: Limits, pack: object) -> None:
    files = {f"{name}/{n}.png": flat(COLOURS[name]) for n in range(40) for name in COLOURS}
    sheet = sheet_of(pack(files), save, limits)  # type: ignore[operator]
    colours = cells(sheet, 96)
    assert colours == [COLOURS["blue"]] * 32 + [COLOURS["green"]] * 32 + [COLOURS["red"]] * 32


def test_of_many_classes_as_many_as_fit_are_shown(save: Saver, limits: Limits) -> None:
    files = {f"c{n:04}/1.png": flat((n % 256, n // 256, 7)) for n in range(300)}
    sheet = sheet_of(as_zip(files), save, limits)
    seen = [red + 256 * green for red, green, _ in cells(sheet, COLUMNS * ROWS)]
    assert seen == [number * 300 // 96 for number in range(96)]


def test_only_the_split_is_shown(save: Saver, limits: Limits) -> None:
    files = {"train/a/1.png": flat((255, 0, 0)), "test/a/1.png": flat((0, 0, 255))}
    assert cells(sheet_of(as_zip(files), save, limits, "test"), 1) == [(0, 0, 255)]


def test_small_images_are_enlarged_in_whole_pixels(save: Saver, limits: Limits) -> None:
    image = Image.new("RGB", (2, 2))
    image.putdata([(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)])
    out = io.BytesIO()
    image.save(out, "PNG")
    sheet = sheet_of(as_zip({"a/1.png": out.getvalue()}), save, limits)
    cell = np.asarray(sheet)[room._GAP : room._GAP + CELL, room._GAP : room._GAP + CELL]
    assert {tuple(map(int, pixel)) for pixel in cell.reshape(-1, 3)} == {
        *((255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9))
    }


def test_what_cannot_be_read_is_a_blank(save: Saver, limits: Limits) -> None:
    files = {"a/1.png": b"no image", "a/2.png": flat((255, 0, 0))}
    first, second = cells(sheet_of(as_zip(files), save, limits), 2)
    assert second == (255, 0, 0)
    assert first not in COLOURS.values()


def test_equal_archives_give_equal_sheets(save: Saver, limits: Limits) -> None:
    draws = random.Random(0)
    files = {f"{n % 3}/{n}.jpg": flat((draws.randrange(256), n, 0), form="JPEG") for n in range(9)}
    one, two = (sheet_of(as_zip(files), save, limits).tobytes() for _ in range(2))
    assert one == two


def test_large_jpegs_are_not_decoded_whole(
    save: Saver, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn is bounded by pixels decoded; of a JPEG these are few."""
    monkeypatch.setattr(room, "MAX_PIXELS", 2_000_000)
    large = (2000, 1500)
    jpegs = {f"a/{n}.jpg": flat((255, 0, 0), large, "JPEG") for n in range(8)}
    drawn = cells(sheet_of(as_zip(jpegs), save, limits), 8)
    assert all(red > 250 and green < 5 for red, green, _ in drawn)
    pngs = {f"a/{n}.png": flat((255, 0, 0), large) for n in range(8)}
    assert sheet_of(as_zip(pngs), save, limits).width == CELL + 2 * room._GAP  # one is enough


def test_names_in_any_script_are_written(save: Saver, limits: Limits) -> None:
    names = ["猫", "é" * 60, "\u05d0", "a" * 200]
    sheet_of(as_zip({f"{name}/1.png": flat((1, 2, 3)) for name in names}), save, limits)


class TestOfNamedImages:
    def drawn(
        self, files: dict[str, bytes], names: list[str], save: Saver, limits: Limits
    ) -> list[tuple[int, int, int]]:
        """The middle of each cell, two lines standing under each."""
        captions = {name: [f"was {name}", "now 猫"] for name in names}
        with open_archive(save(as_zip(files)), limits) as archive:
            sheet = named_sheet(archive, captions, limits)
        pixels = np.asarray(sheet)
        places = [(6 + 118 * (n % 12) + 56, 6 + 150 * (n // 12) + 56) for n in range(len(names))]
        assert sheet.height == 6 + 150 * (places[-1][1] // 150 + 1)
        return [tuple(int(value) for value in pixels[y, x]) for x, y in places]

    def test_they_come_in_the_order_asked_for(self, save: Saver, limits: Limits) -> None:
        files = {f"a/{n}.png": flat((n, 2 * n, 0)) for n in range(30)}
        asked = [29, 3, 17, *range(4, 16)]
        colours = self.drawn(files, [f"a/{n}.png" for n in asked], save, limits)
        assert colours == [(n, 2 * n, 0) for n in asked]

    def test_what_cannot_be_drawn_keeps_its_place(
        self, save: Saver, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(room, "MAX_PIXELS", 100)
        red = flat((255, 0, 0))
        files = {"a/1.png": b"no image", "a/2.png": red, "a/3.png": red, "a/4.png": red}
        names = ["a/4.png", "a/1.png", "../../etc/passwd", "a/3.png", "a/2.png"]
        colours = self.drawn(files, names, save, limits)
        shown = [colour == (255, 0, 0) for colour in colours]
        # The fourth is beyond what is decoded, which is counted in the archive's order.
        assert shown == [False, False, False, True, True]
