"""Images with identical pixels: in two splits, under two labels, in two archives.

A training image that is also scored makes the score a lie; this is common in collected data
(web images come in twice) and invisible in file names. Only identical pixels are found: a
recompressed or resized copy is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.datasets.index_entry import IndexEntry
from core.datasets.layout import TRAIN
from core.datasets.names import shown
from core.errors import InvalidDataset

if TYPE_CHECKING:
    from core.datasets.index import DatasetIndex

VALIDATION = "val"
_EXAMPLES = 20
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of entries with identical pixels, each in the index's order."""

    duplicates_across_splits: tuple[tuple[IndexEntry, ...], ...]
    conflicting_labels: tuple[tuple[IndexEntry, ...], ...]  # within one split
    repeated_count: int  # images more than once in one split and class: harmless, and counted

    def summary(self) -> dict[str, Any]:
        """Counts and the first few groups by name, JSON-able."""
        return {
            "across_splits_count": len(self.duplicates_across_splits),
            "across_splits": [
                [entry.key for entry in group]
                for group in self.duplicates_across_splits[:_EXAMPLES]
            ],
            "conflicting_labels_count": len(self.conflicting_labels),
            "conflicting_labels": [
                [entry.key for entry in group] for group in self.conflicting_labels[:_EXAMPLES]
            ],
            "repeated_count": self.repeated_count,
        }


@dataclass(frozen=True, slots=True)
class Leak:
    """An image of another split whose pixels are those of a training image."""

    train: IndexEntry
    other: IndexEntry
    split: str  # the other's split as the job names it


def find_duplicates(entries: Iterable[IndexEntry]) -> Duplicates:
    """Groups in the order of their first entries."""
    groups = [group for group in _by_pixels(entries).values() if len(group) > 1]
    across, conflicting, repeated = [], [], 0
    for group in groups:
        by_split: defaultdict[str, list[IndexEntry]] = defaultdict(list)
        for entry in group:
            by_split[entry.split].append(entry)
        if len(by_split) > 1:
            across.append(tuple(group))
        for same_split in by_split.values():
            labels = {entry.class_name for entry in same_split}
            if len(labels) > 1:
                conflicting.append(tuple(same_split))
            repeated += len(same_split) - len(labels)
    return Duplicates(tuple(across), tuple(conflicting), repeated)


def find_leaks(
    train: Iterable[IndexEntry], other: Iterable[IndexEntry], *, split: str | None = None
) -> list[Leak]:
    """The other entries that show what a training image shows, in the others' order.

    `split` is what the job calls the others' split; left out, it is what their archive does.
    """
    first: dict[str, IndexEntry] = {}
    for entry in train:
        first.setdefault(entry.pixel_digest, entry)
    return [
        Leak(first[entry.pixel_digest], entry, split or entry.split)
        for entry in other
        if entry.pixel_digest in first
    ]


def require_no_leaks(
    splits: DatasetIndex | Mapping[str, Sequence[IndexEntry]], *, allow: bool
) -> list[Leak]:
    """Every leak of `train` into another split, to be reported.

    Takes one index, or the job's splits by the job's names where they come from several archives.
    Raises InvalidDataset when a scored split (any but `train` and `val`) has one and `allow` is
    false. A copy in `val` only makes the choice of a checkpoint worse, so it is reported.
    """
    named = splits if isinstance(splits, Mapping) else splits.splits
    leaks = [
        leak
        for name, entries in named.items()
        if name != TRAIN
        for leak in find_leaks(named.get(TRAIN, ()), entries, split=name)
    ]
    scored = [leak for leak in leaks if leak.split != VALIDATION]
    if scored and not allow:
        shown_leaks = "; ".join(
            f"{shown(leak.other.key)} in {leak.split} is {shown(leak.train.key)}"
            for leak in scored[:_NAMED]
        )
        more = f"; and {len(scored) - _NAMED} more" if len(scored) > _NAMED else ""
        raise InvalidDataset(
            f"{len(scored)} scored images are also trained on: {shown_leaks}{more}. Remove them "
            "from one of the two, or set evaluation.allow_duplicates to true.",
            code="train_test_leak",
        )
    return leaks


def _by_pixels(entries: Iterable[IndexEntry]) -> dict[str, list[IndexEntry]]:
    groups: dict[str, list[IndexEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.pixel_digest, []).append(entry)
    return groups
