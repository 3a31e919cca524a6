"""Archives that say what an image is in a file beside it, seen as if folders said it.

Whoever reads one sees `split/class/file` names; the images are read where they lie. The new names
are checked as an archive's own are. A folder `train`, `val` or `test` at the top is that split,
and then the others there are splits too, as everywhere; else all is `train`, which is said, since a
class may be called `test`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import takewhile

from core.datasets import class_names, groups, metadata_csv, webdataset
from core.datasets.container import Archive, Collector, Entry, Format
from core.datasets.labels import Label, Labels
from core.datasets.layout import RESERVED, TRAIN
from core.datasets.limits import Limits

# What is read of an archive beside its images.
SIDE_FILES = (class_names.FILE_NAME, groups.FILE_NAME, metadata_csv.FILE_NAME)


def labelled(archive: Archive, limits: Limits) -> Archive:
    """The archive as its labels have it; the archive itself when folders are its labels.

    Raises InvalidDataset or TooLarge when there are labels that cannot be used.
    """
    labels = metadata_csv.read_labels(archive)
    if labels is not None:
        return LabelledArchive(archive, labels, limits, "csv")
    labels = webdataset.read_labels(archive)
    if labels is not None:
        return LabelledArchive(archive, labels, limits, "webdataset")
    return archive


class LabelledArchive(Archive):
    """Another archive's images under the names that its labels give them."""

    def __init__(self, inner: Archive, labels: Labels, limits: Limits, format: Format) -> None:
        super().__init__(inner._source, limits)
        self.format = format
        self._inner = inner
        self.wrapping = _wrapping(labels.of)
        has_splits = _has_splits(labels.of, self.wrapping)
        collector = Collector(limits)
        for entry in inner.entries:
            if entry.name in labels.said_by:
                continue
            short = entry.name.removeprefix(self.wrapping)
            label = labels.of.get(entry.name)
            name = short if label is None else _name(short, label, has_splits)
            collector.add_file(dataclasses.replace(entry, name=collector.name(name)))
            if label is not None:
                self.originals[entry.name] = name
        collector.finish()
        self.entries = collector.entries

    def _read(self, entries: list[Entry]) -> Iterator[tuple[str, bytes]]:
        return self._inner._read(entries)  # which goes by offset


def _wrapping(names: Iterable[str]) -> str:
    """The folders that all images lie in, up to the splits, with a closing slash, or ""."""
    paths = {tuple(name.split("/")[:-1]) for name in names}
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    folders = takewhile(lambda folder: folder not in RESERVED, (level[0] for level in shared))
    return "".join(f"{folder}/" for folder in folders)


def _has_splits(names: Iterable[str], wrapping: str) -> bool:
    """Whether the folders at the top are splits."""
    return any(name[len(wrapping) :].partition("/")[0] in RESERVED for name in names)


def _name(short: str, label: Label, has_splits: bool) -> str:
    split, rest = label.split, short
    if split is None and has_splits and "/" in short:
        split, _, rest = short.partition("/")
    return f"{split or TRAIN}/{label.name}/{rest.replace('/', '_')}"
