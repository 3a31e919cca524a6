"""One archive in the service's own layout, from a data set as it lies on a disk."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from core.datasets.class_names import FILE_NAME
from core.datasets.layouts import domainnet, imagenet, objectnet
from core.datasets.layouts.entry import ImageEntry, KnownLayout
from core.datasets.layouts.facts import openai_templates
from core.datasets.layouts.zip_stream import ZipStream, zip_stream
from core.datasets.names import shown
from core.errors import InvalidDataset, InvalidRequest, StorageFault

KNOWN_LAYOUTS: dict[str, KnownLayout] = {
    layout.name: layout for layout in (*domainnet.LAYOUTS, *imagenet.LAYOUTS, *objectnet.LAYOUTS)
}


@dataclass(frozen=True)
class WrittenArchive:
    """What was written: images of each class, by split."""

    path: Path
    size: int  # bytes
    total_classes: int  # of the data set, which the tree may hold in part
    splits: dict[str, dict[str, int]]


def write_archive(
    source: Path,
    layout: str,
    target: Path,
    *,
    limit_per_class: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> WrittenArchive:
    """Write the tree at `source`, laid out as `layout`, as a ZIP at `target`.

    Splits are top-level folders with a folder for each class in them; `classes.json` gives the
    classes' readable names and OpenAI's 80 templates. Files are stored as they are, without
    compression, in constant memory; equal trees give equal archives. `limit_per_class` keeps the
    first images by name (in DomainNet, by list) of each class of each split. `progress` is
    called with the number of images written so far.

    Raises InvalidRequest for an unknown layout, a limit below 1 and a target that exists;
    InvalidDataset when the tree is not of that layout; StorageFault when a disk refuses.
    Then nothing is left at `target`.
    """
    known = KNOWN_LAYOUTS.get(layout)
    if known is None:
        raise InvalidRequest(
            f"There is no layout {shown(layout)}; the layouts are {', '.join(KNOWN_LAYOUTS)}.",
            code="unknown_layout",
            param="layout",
        )
    if limit_per_class is not None and limit_per_class < 1:
        raise InvalidRequest(
            f"limit_per_class is {limit_per_class}; it must be at least 1.", param="limit_per_class"
        )
    counts: dict[str, Counter[str]] = {}
    names: dict[str, str] = {}
    with _new_file(target) as file, zip_stream(file) as archive:
        entries = _limited(known.read(source), counts, limit_per_class)
        for done, entry in enumerate(entries, start=1):
            names[entry.class_key] = entry.readable_name
            _add_image(archive, entry, known.border)
            progress(done)
        _require_known_classes(counts, source)
        content = {"names": dict(sorted(names.items())), "templates": openai_templates()}
        encoded = json.dumps(content, ensure_ascii=False, indent=1).encode()
        archive.add(FILE_NAME, io.BytesIO(encoded))
    return WrittenArchive(
        path=target,
        size=target.stat().st_size,
        total_classes=known.total_classes,
        splits={split: dict(classes) for split, classes in counts.items()},
    )


@contextmanager
def _new_file(target: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole and vanishes when it is not."""
    if target.exists():
        raise InvalidRequest(
            f"{target} exists already. Name another file, or remove it.", code="target_exists"
        )
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("w+b") as file:
            yield file
        part.replace(target)
    except OSError as fault:
        raise StorageFault(f"{target} could not be made: {fault}.") from fault
    finally:
        part.unlink(missing_ok=True)


def _limited(
    entries: Iterator[ImageEntry], counts: dict[str, Counter[str]], limit: int | None
) -> Iterator[ImageEntry]:
    """The entries that are kept, counted."""
    for entry in entries:
        classes = counts.setdefault(entry.split, Counter())
        if limit is not None and classes[entry.class_key] >= limit:
            continue
        classes[entry.class_key] += 1
        yield entry


def _add_image(archive: ZipStream, entry: ImageEntry, border: int) -> None:
    folder = f"{entry.split}/{entry.class_key}"
    if border:
        picture = io.BytesIO(_without_border(entry.path, border))
        archive.add(f"{folder}/{entry.path.stem}.png", picture)
        return
    with entry.path.open("rb") as content:
        archive.add(f"{folder}/{entry.path.name}", content)


def _without_border(path: Path, border: int) -> bytes:
    """The picture inside its border as PNG, which loses nothing."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            if min(width, height) <= 2 * border:
                raise ValueError(f"it is {width} x {height}, all of it border")
            inside = image.crop((border, border, width - border, height - border))
    except (OSError, ValueError) as fault:  # Pillow's own faults are one or the other
        raise InvalidDataset(
            f"{path} should be a picture with a border of {border} pixels, and cannot be read: "
            f"{fault}. Replace or remove it.",
            code="unreadable_image",
        ) from fault
    out = io.BytesIO()
    inside.save(out, "PNG", compress_level=1)  # stronger takes far longer for little
    return out.getvalue()


def _require_known_classes(counts: dict[str, Counter[str]], source: Path) -> None:
    """Every class of a split must be one of train's, where there is a train."""
    train = counts.get("train")
    if train is None:
        return
    for split, classes in counts.items():
        unknown = sorted(classes.keys() - train.keys())
        if unknown:
            raise InvalidDataset(
                f"In {source}, {len(unknown)} classes of {split} are not among the "
                f"{len(train)} to train on, the first {shown(unknown[0])}. Was the data set "
                "unpacked whole?",
                code="unknown_classes",
            )
