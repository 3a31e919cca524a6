"""What every reader of a layout gives, and how they all look at folders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.datasets.layout import IMAGE_SUFFIXES, is_image
from core.datasets.names import shown
from core.errors import InvalidDataset

_NAMED = 5  # names that one message lists


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image of a data set as it lies on a disk."""

    path: Path
    split: str
    class_key: str  # the class folder it gets in an archive
    readable_name: str


@dataclass(frozen=True, slots=True)
class KnownLayout:
    """A way in which a well-known data set is usually laid out."""

    name: str
    looks_for: str  # the end of "layout NAME looks for ..."
    total_classes: int  # of the whole data set: a tree may hold fewer
    read: Callable[[Path], Iterator[ImageEntry]]
    border: int = 0  # pixels on each side that are no part of the picture


def class_folders(parent: Path, known: Collection[str], *, looks_for: str) -> list[Path]:
    """The folders in `parent`, sorted by name, hidden ones left out.

    Raises InvalidDataset when there is none or one that is not among `known`; `looks_for` ends
    the sentence.
    """
    folders = sorted(
        path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if not folders:
        raise not_laid_out(parent, looks_for)
    strangers = [path.name for path in folders if path.name not in known]
    if strangers:
        raise InvalidDataset(
            f"{parent} is not laid out as expected: it should hold {looks_for}, and "
            f"{len(strangers)} of its {len(folders)} folders are none of these: "
            f"{_some(strangers)}. Name another layout, or take these out.",
            code="unknown_class_folder",
        )
    return folders


def images_in(folder: Path) -> list[Path]:
    """The images of a class folder, sorted by name. Raises InvalidDataset when there is none."""
    images = sorted(
        path
        for path in folder.iterdir()
        if is_image(path.name) and not path.name.startswith(".") and path.is_file()
    )
    if not images:
        raise InvalidDataset(
            f"The class folder {folder} should hold images ({', '.join(IMAGE_SUFFIXES)}) and "
            f"holds {_contents(folder)}. Was the data set unpacked whole?",
            code="empty_class",
        )
    return images


def require_folders(source: Path, names: Iterable[str], looks_for: str) -> None:
    """Raises InvalidDataset unless `source` is a folder with folders of these names."""
    if not source.is_dir() or not all((source / name).is_dir() for name in names):
        raise not_laid_out(source, looks_for)


def not_laid_out(source: Path, looks_for: str) -> InvalidDataset:
    """The sentence for a tree of another shape: what was looked for, and what is there."""
    found = _contents(source) if source.is_dir() else "is no folder"
    verb = "holds " if source.is_dir() else ""
    return InvalidDataset(
        f"{source} is not laid out as expected: it should hold {looks_for}, and {verb}{found}. "
        "Name the folder the data set was unpacked into, or another layout.",
        code="not_this_layout",
    )


def _contents(folder: Path) -> str:
    names = sorted(
        path.name + ("/" if path.is_dir() else "")
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    return _some(names) if names else "nothing"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shown(name) for name in names[:_NAMED]) + more
