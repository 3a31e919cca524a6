"""Which folder of an archive is a split, which a class and which only a wrapping.

The contract: top-level folders `train`, `val` and `test` are those splits, every other top-level
folder is a shifted split of that name, and inside a split there is one folder for each class.
Without such folders the whole archive is `train`. How the two are told apart:

1. A single top-level folder that holds every image two or more levels down is a wrapping
   (`flowers/rose/1.jpg`, as zipping a folder makes) and is taken off, again and again, unless it
   is called `train`, `val` or `test`. `sketch/rose/1.jpg` alone is therefore `train` too: an
   archive with one split is scored under the name that the request gives it.
2. If a top-level folder is then called `train`, `val` or `test`, or if every image lies at
   split/class/file, top-level folders are splits.
3. If every image lies at class/file, they are classes.
4. Anything else is refused, with the names that do not fit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from core.datasets.names import shown
from core.errors import InvalidDataset

TRAIN = "train"
RESERVED = (TRAIN, "val", "test")
SPLIT_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")  # as `core.jobs.request.SplitName`
MAX_CLASS_CHARACTERS = 200
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")

# What people call the three; as names of shifted splits they can only be mistakes.
_MEANT = {
    **dict.fromkeys(("training", "trn"), TRAIN),
    **dict.fromkeys(("validation", "valid", "validate", "dev"), "val"),
    **dict.fromkeys(("testing", "tst"), "test"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a name is read: `root`, then the split if `has_splits`, then class and file."""

    root: str  # wrapping folders that are taken off, with a closing "/", or ""
    has_splits: bool

    def place(self, name: str) -> tuple[str, str] | None:
        """The split and class of an image's name; None when it lies elsewhere."""
        if not is_image(name) or not name.startswith(self.root):
            return None
        parts = name[len(self.root) :].split("/")
        if self.has_splits and len(parts) == 3:
            return parts[0], parts[1]
        if not self.has_splits and len(parts) == 2:
            return TRAIN, parts[0]
        return None

    def place_folder(self, name: str) -> tuple[str, str] | None:
        """The split and class that a folder stands for; None when it is no class folder."""
        return self.place(f"{name}/any{IMAGE_SUFFIXES[0]}")


def is_image(name: str) -> bool:
    """By its extension; whether it can be read is seen when it is."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def find_layout(images: Iterable[str]) -> Layout:
    """The layout of an archive with these images. Raises InvalidDataset when it has none."""
    folders = Counter(name.rpartition("/")[0] for name in images)
    root = _wrapping(folders)
    inner = [folder[len(root) :] for folder in folders]
    depths = {folder: folder.count("/") + 1 if folder else 0 for folder in inner}
    tops = {folder.split("/", 1)[0] for folder in inner if folder}
    if 0 in depths.values():
        raise InvalidDataset(
            f"{folders[root.rstrip('/')]} images lie in no class folder (in "
            f"{shown(root or '/')}). Put each image into a folder named for its class.",
            code="image_outside_class",
        )
    has_splits = not tops.isdisjoint(RESERVED) or set(depths.values()) == {2}
    _check_depths(depths, 2 if has_splits else 1, root)
    if has_splits:
        _check_split_names(tops)
    _check_class_names(folder.rpartition("/")[2] for folder in inner)
    return Layout(root, has_splits)


def _wrapping(folders: Counter[str]) -> str:
    root = ""
    while True:
        inner = [folder[len(root) :] for folder in folders]
        top = inner[0].split("/", 1)[0]
        if top in RESERVED or not all(folder.startswith(f"{top}/") for folder in inner):
            return root
        root += f"{top}/"


def _check_depths(depths: dict[str, int], expected: int, root: str) -> None:
    shallow = next((folder for folder, depth in depths.items() if depth < expected), None)
    deep = next((folder for folder, depth in depths.items() if depth > expected), None)
    fitting = next((folder for folder, depth in depths.items() if depth == expected), None)
    if shallow is not None and shallow in RESERVED:
        raise InvalidDataset(
            f"Images lie directly in the split {shown(root + shallow)}. Put each into a folder "
            "named for its class, inside the split.",
            code="image_outside_class",
        )
    if shallow is not None or (deep is not None and expected == 1):
        odd = shallow if shallow is not None else deep
        beside = fitting if fitting is not None else deep
        raise InvalidDataset(
            f"Folders of images lie at different depths: {shown(root + (odd or ''))} and "
            f"{shown(root + (beside or ''))}. Use split/class/file throughout, or class/file.",
            code="mixed_layout",
        )
    if deep is not None:
        raise InvalidDataset(
            f"The folder {shown(root + deep)} lies deeper than split/class/file. Move its images "
            "up into the class folder.",
            code="too_deep",
        )


def _check_split_names(tops: set[str]) -> None:
    for name in sorted(tops):
        _check_visible(name, "split")
        lower = name.lower()
        meant = lower if lower in RESERVED and name != lower else _MEANT.get(lower)
        if meant:
            raise InvalidDataset(
                f"The split folder {shown(name)} would be a shifted split of that name. Rename it "
                f"to {meant!r} if that is what it is, or to something else.",
                code="split_name",
            )
        if not SPLIT_NAME.fullmatch(name):
            raise InvalidDataset(
                f"The split folder {shown(name)} cannot name a split: 1 to 64 letters, digits, "
                "dots, underscores and dashes are allowed. Rename it.",
                code="split_name",
            )


def _check_class_names(names: Iterable[str]) -> None:
    for name in set(names):
        _check_visible(name, "class")
        if not name.strip() or name != name.strip() or len(name) > MAX_CLASS_CHARACTERS:
            raise InvalidDataset(
                f"The class folder {shown(name)} has {len(name)} characters, is blank, or starts "
                f"or ends with a space; 1 to {MAX_CLASS_CHARACTERS} characters are allowed. "
                "Rename it.",
                code="class_name",
            )


def _check_visible(name: str, what: str) -> None:
    if name.startswith("."):
        raise InvalidDataset(
            f"The hidden folder {shown(name)} holds images and would be a {what}. Leave it out of "
            "the archive, or rename it.",
            code="hidden_folder",
        )
