"""What an archive holds, from its headers alone: the check made while the uploader waits.

`inspect` accepts what is good for some use. What training or scoring asks beyond that is asked
by `require_trainable`, `require_scorable` and `single_split`, when a job names the file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from core.datasets import class_names, groups
from core.datasets.archive import Archive, Entry, Format, open_archive
from core.datasets.class_names import ClassNames, parse_class_names
from core.datasets.groups import parse_groups
from core.datasets.layout import IMAGE_SUFFIXES, RESERVED, TRAIN, Layout, find_layout, is_image
from core.datasets.limits import Limits
from core.datasets.names import shown
from core.errors import InvalidDataset, TooLarge

MAX_IGNORED_LISTED = 100
# A few stray files (a README, a label list) are reported; many mean that the images are something
# else than the uploader thinks.
IGNORED_FREE = 20
MAX_IGNORED_FRACTION = 0.1
_NAMED = 5  # names given in one message


class Structure(BaseModel):
    """Splits, classes and counts of an archive. JSON-able: kept on the file's row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format
    root: str = Field(description="Wrapping folders taken off, with a closing slash, or empty.")
    has_splits: bool = Field(description="Whether the folders below `root` are splits.")
    splits: dict[str, dict[str, int]] = Field(
        description="Images of each class of each split: train, val, test, then the others."
    )
    classes: list[str] = Field(
        description="Class folders of train, or of all splits where there is no train, in the "
        "order of the head's rows: by name without regard to case, then by name."
    )
    readable_names: dict[str, str] = Field(
        description="Readable name of each class, from classes.json; empty when it gives none."
    )
    templates: list[str] | None
    groups: list[str] = Field(
        default_factory=list, description="Groups that groups.csv puts images into, by name."
    )
    empty_classes: dict[str, list[str]] = Field(
        description="Class folders without an image, of each split that has any."
    )
    ignored: list[str] = Field(description="Files that are no images, the first few by name.")
    ignored_count: int
    total_images: int
    total_bytes: int = Field(description="Bytes of the image files, as they are in the archive.")

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.root, self.has_splits)


def inspect(path: Path, limits: Limits) -> Structure:
    """The structure of the archive at `path`. Reads headers, `classes.json` and `groups.csv`,
    no image.

    Raises InvalidDataset or TooLarge, with a `code` of its own for every fault.
    """
    with open_archive(path, limits) as archive:
        return inspect_archive(archive, limits)


def inspect_archive(archive: Archive, limits: Limits) -> Structure:
    """The same for an archive that is open already."""
    images = [entry for entry in archive.entries if is_image(entry.name)]
    if not images:
        first = archive.entries[0].name
        raise InvalidDataset(
            f"The archive holds {len(archive.entries)} files and no images (the first is "
            f"{shown(first)}). Images end in {', '.join(IMAGE_SUFFIXES)}.",
            code="no_images",
        )
    layout = find_layout(entry.name for entry in images)
    splits = _count(images, layout)
    _check_class_count(splits, limits)
    others = [entry for entry in archive.entries if not is_image(entry.name)]
    class_names_entry = _entry_at_top(archive, layout, class_names.FILE_NAME)
    known = (class_names_entry, _entry_at_top(archive, layout, groups.FILE_NAME))
    ignored = sorted(entry.name for entry in others if entry not in known)
    _check_ignored(ignored, len(images))
    classes = sorted_classes(splits.get(TRAIN) or set().union(*splits.values()))
    names = _read_class_names(archive, class_names_entry, classes)
    grouped = read_groups(archive, layout)
    return Structure(
        format=archive.format,
        root=layout.root,
        has_splits=layout.has_splits,
        splits=splits,
        classes=classes,
        readable_names=names.names,
        templates=names.templates,
        groups=sorted(set(grouped.values())),
        empty_classes=_empty_classes(archive, layout, splits, ignored),
        ignored=ignored[:MAX_IGNORED_LISTED],
        ignored_count=len(ignored),
        total_images=len(images),
        total_bytes=sum(entry.size for entry in images),
    )


def read_groups(archive: Archive, layout: Layout) -> dict[str, str]:
    """The group of each image that `groups.csv` mentions, by its name; empty without the file.

    Raises InvalidDataset or TooLarge when it cannot be used.
    """
    entry = _entry_at_top(archive, layout, groups.FILE_NAME)
    if entry is None:
        return {}
    groups.check_size(entry.size)
    images = archive.originals or {
        other.name: other.name for other in archive.entries if is_image(other.name)
    }
    folder = archive.wrapping + entry.name.removesuffix(groups.FILE_NAME)
    found = parse_groups(archive.read(entry.name), images, folder)
    return {images[name]: group for name, group in found.items()}


def require_trainable(structure: Structure) -> None:
    """Raises InvalidDataset unless there is a `train` with at least two classes, none empty."""
    train = structure.splits.get(TRAIN)
    if train is None:
        raise InvalidDataset(
            f"The archive has no {TRAIN!r} folder; its splits are {_some(structure.splits)}. Name "
            f"the folder to train on {TRAIN!r}, or upload one folder for each class.",
            code="no_train_split",
        )
    empty = structure.empty_classes.get(TRAIN)
    if empty:
        raise InvalidDataset(
            f"{len(empty)} classes to train on have no image: {_some(empty)}. Add images (ending "
            f"in {', '.join(IMAGE_SUFFIXES)}), or remove the folders.",
            code="empty_class",
        )
    if len(train) < 2:
        raise InvalidDataset(
            f"There is only one class to train on, {_some(train)}. At least two are needed, each "
            "in a folder of its own.",
            code="one_class",
        )


def require_scorable(structure: Structure, split: str, classes: Collection[str]) -> None:
    """Raises InvalidDataset unless every class of the split is among the training classes."""
    found = structure.splits.get(split)
    if found is None:
        raise InvalidDataset(
            f"The archive has no split {shown(split)}; it has {_some(structure.splits)}.",
            code="unknown_split",
        )
    known = set(classes)
    unknown = sorted_classes(name for name in found if name not in known)
    if unknown:
        raise InvalidDataset(
            f"The split {shown(split)} has {len(unknown)} classes that are not trained on: "
            f"{_some(unknown)}. Use the training folders' names, or leave these out.",
            code="unknown_classes",
        )


def single_split(structure: Structure) -> str:
    """The one split of an archive that is scored under the name a request gives it."""
    if len(structure.splits) != 1:
        raise InvalidDataset(
            f"The archive has {len(structure.splits)} splits, {_some(structure.splits)}, and a "
            "file that is scored as one split must have one. Upload that split alone.",
            code="ambiguous_split",
        )
    return next(iter(structure.splits))


def sorted_classes(names: Iterable[str]) -> list[str]:
    """In the order of the head's rows."""
    return sorted(names, key=lambda name: (name.casefold(), name))


def sorted_splits(names: Iterable[str]) -> list[str]:
    """train, val, test, then the shifted splits by name."""
    order = {name: number for number, name in enumerate(RESERVED)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _count(images: list[Entry], layout: Layout) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in images:
        place = layout.place(entry.name)
        assert place is not None, entry.name  # find_layout accepted every image
        counts[place[0]][place[1]] += 1
    return {
        split: {name: counts[split][name] for name in sorted_classes(counts[split])}
        for split in sorted_splits(counts)
    }


def _check_class_count(splits: dict[str, dict[str, int]], limits: Limits) -> None:
    count = len(set().union(*splits.values()))
    if count > limits.max_classes:
        raise TooLarge(
            f"The archive has {count} classes; the most is {limits.max_classes}. Are these "
            "folders classes?",
            code="too_many_classes",
        )


def _entry_at_top(archive: Archive, layout: Layout, file_name: str) -> Entry | None:
    """A file of ours at the archive's top, or inside the wrapping folder."""
    places = {file_name, layout.root + file_name}
    found = [entry for entry in archive.entries if entry.name in places]
    if len(found) > 1:
        raise InvalidDataset(
            f"The archive has two {file_name}: {_some(entry.name for entry in found)}. Keep one.",
            code=f"invalid_{file_name.replace('.', '_')}",
        )
    return found[0] if found else None


def _check_ignored(ignored: list[str], images: int) -> None:
    if len(ignored) > IGNORED_FREE and len(ignored) > MAX_IGNORED_FRACTION * images:
        raise InvalidDataset(
            f"{len(ignored)} files beside {images} images are not images: {_some(ignored)}. "
            f"Images end in {', '.join(IMAGE_SUFFIXES)}; leave the others out.",
            code="too_many_other_files",
        )


def _read_class_names(archive: Archive, entry: Entry | None, classes: list[str]) -> ClassNames:
    if entry is None:
        return ClassNames()
    class_names.check_size(entry.size)
    return parse_class_names(archive.read(entry.name), classes)


def _empty_classes(
    archive: Archive, layout: Layout, splits: dict[str, dict[str, int]], ignored: list[str]
) -> dict[str, list[str]]:
    """From the folders the archive lists, and from those that hold only other files."""
    folders = {*archive.folders, *(name.rpartition("/")[0] for name in ignored)}
    empty: defaultdict[str, set[str]] = defaultdict(set)
    for folder in folders:
        place = layout.place_folder(folder)
        if place and place[1] not in splits.get(place[0], {}) and not place[1].startswith("."):
            empty[place[0]].add(place[1])
    return {split: sorted_classes(empty[split]) for split in sorted_splits(empty)}


def _some(names: Iterable[str]) -> str:
    """A few of the names, for a message."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(shown(name) for name in listed[:_NAMED]) + more
