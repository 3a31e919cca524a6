"""The deep check a worker makes once for each dataset version: every image is decoded.

Archive order, one pass, bounded memory; threads decode (Pillow lets go of the interpreter lock)
while this thread reads the archive. The result does not depend on how many there are.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from core.datasets.archive import Archive, open_archive
from core.datasets.duplicates import find_leaks, require_no_leaks
from core.datasets.images import UnreadableImage, decode, pixel_digest
from core.datasets.index import DatasetIndex, IndexEntry, Rejected
from core.datasets.limits import Limits
from core.datasets.names import shown
from core.datasets.structure import Structure, read_groups
from core.errors import InvalidDataset

__all__ = ["check", "find_leaks", "require_no_leaks"]

MAX_THREADS = 16  # beyond this the single reader of the archive is what one waits for
_WAITING_PER_THREAD = 2
_NAMED = 5


def check(
    path: Path,
    structure: Structure,
    limits: Limits,
    *,
    max_unreadable_fraction: float,
    progress: Callable[[int, int], None],
) -> DatasetIndex:
    """The index of the archive at `path`, whose `structure` was inspected before.

    Unreadable images are left out and listed, up to `max_unreadable_fraction` of the archive's
    images; beyond it, and when a class of a split has no readable image left, InvalidDataset.
    `progress(done, total)` is called in this thread after each image; an exception it raises
    stops the check.
    """
    with open_archive(path, limits) as archive:
        places = _places(archive, structure)
        groups = read_groups(archive, structure.layout)
        allowed = max_unreadable_fraction * len(places)
        entries: list[IndexEntry] = []
        rejected: list[Rejected] = []
        for done, result in enumerate(_results(archive, places, limits), start=1):
            if isinstance(result, IndexEntry):
                entries.append(dataclasses.replace(result, group=groups.get(result.key)))
            else:
                rejected.append(result)
                if len(rejected) > allowed:
                    raise _too_many_unreadable(rejected, done, len(places), allowed)
            progress(done, len(places))
    _check_every_class_has_images(entries, structure, rejected)
    return DatasetIndex.of(
        entries,
        classes=structure.classes,
        readable_names=structure.readable_names,
        templates=structure.templates,
        rejected=rejected,
    )


def _places(archive: Archive, structure: Structure) -> dict[str, tuple[str, str]]:
    """Split and class of each image's name."""
    places = {}
    for entry in archive.entries:
        place = structure.layout.place(entry.name)
        if place is not None:
            places[entry.name] = place
    if len(places) != structure.total_images:
        raise InvalidDataset(
            f"The archive holds {len(places)} images and was inspected with "
            f"{structure.total_images}: it is not the same file. Inspect it again.",
            code="structure_mismatch",
        )
    return places


def _results(
    archive: Archive, places: dict[str, tuple[str, str]], limits: Limits
) -> Iterator[IndexEntry | Rejected]:
    """In the archive's order, with only a few images in memory at a time."""
    threads = min(MAX_THREADS, _cores())
    waiting: deque[Future[IndexEntry | Rejected]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for name, data in archive.iterate(places):
            if len(waiting) >= threads * _WAITING_PER_THREAD:
                yield waiting.popleft().result()
            waiting.append(pool.submit(_index, name, places[name], data, limits))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _index(name: str, place: tuple[str, str], data: bytes, limits: Limits) -> IndexEntry | Rejected:
    try:
        image = decode(data, limits)
    except UnreadableImage as error:
        return Rejected(name, error.message)
    split, class_name = place
    return IndexEntry(
        key=name,
        split=split,
        class_name=class_name,
        width=image.width,
        height=image.height,
        bytes=len(data),
        pixel_digest=pixel_digest(image),
    )


def _cores() -> int:
    """The cores this process may use; macOS can only say how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _too_many_unreadable(
    rejected: list[Rejected], done: int, total: int, allowed: float
) -> InvalidDataset:
    return InvalidDataset(
        f"{len(rejected)} of the first {done} images (of {total}) cannot be read; {int(allowed)} "
        f"would be skipped. {_some(rejected)} Replace or remove them.",
        code="too_many_unreadable",
    )


def _check_every_class_has_images(
    entries: Iterable[IndexEntry], structure: Structure, rejected: list[Rejected]
) -> None:
    if not rejected:
        return
    readable = Counter((entry.split, entry.class_name) for entry in entries)
    for split, classes in structure.splits.items():
        for name in classes:
            if not readable[split, name]:
                within = [
                    one for one in rejected if structure.layout.place(one.key) == (split, name)
                ]
                raise InvalidDataset(
                    f"The class {shown(name)} of {split} has no readable image. {_some(within)} "
                    "Replace them, or remove the class.",
                    code="empty_class",
                )


def _some(rejected: list[Rejected]) -> str:
    return " ".join(f"{shown(one.key)}: {one.reason}" for one in rejected[:_NAMED])
