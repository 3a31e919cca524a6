"""Folders of images to send, and ways to give them to the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload, Page

SPLITS = ("train", "test")
CLASSES = ("ant", "bee")
SIDE = 1200  # pixels; 4.3 MB as a bitmap: two are a little more than a part of 8 MiB


def bitmaps(folder: Path, *, per_class: int, seed: int = 0) -> Path:
    """Noise in two splits of two classes, 17 MB for each image of a class; another for each
    seed."""
    draws = np.random.default_rng(seed)
    for split in SPLITS:
        for name in CLASSES:
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(per_class):
                pixels = draws.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.bmp")
    return folder


def choose(
    page: Page, button: str, picked: Path | list[Path] | FilePayload | list[FilePayload]
) -> None:
    """By a button and the browser's own dialog."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button, exact=True).click()
    chooser.value.set_files(picked)


def drop(page: Page, *paths: Path) -> None:
    """As a file manager does it: real files and folders, over the page's heading."""
    devtools = page.context.new_cdp_session(page)
    box = page.locator("#title").bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": box["x"] + 5, "y": box["y"] + 5, "data": data}
        devtools.send("Input.dispatchDragEvent", event)
