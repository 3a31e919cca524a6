"""The index of a checked dataset version: every readable image, where it belongs, what it shows.

Kept as one Parquet file beside the archive. Equal content gives equal bytes (with one version of
pyarrow), so an index can be compared and cached by its digest.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.datasets.duplicates import Duplicates, find_duplicates
from core.datasets.index_entry import IndexEntry
from core.datasets.names import shown
from core.datasets.structure import sorted_classes, sorted_splits
from core.errors import InvalidDataset, StorageFault

__all__ = ["DatasetIndex", "IndexEntry", "Rejected"]

SCHEMA_VERSION = 2  # 1 had no groups, and is still read
MAX_REJECTED_KEPT = 1000
_MAX_IN_SUMMARY = 100
_METADATA_KEY = b"lipsum"
_ROW_GROUP = 65_536
_NAME = pa.dictionary(pa.int32(), pa.string())
_COLUMNS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", _NAME, nullable=False),
        pa.field("class_name", _NAME, nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("pixel_digest", pa.binary(32), nullable=False),
        pa.field("group", _NAME),
    ]
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that could not be read, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class DatasetIndex:
    """Immutable. Make one with `DatasetIndex.of`, which puts everything in its order."""

    entries: tuple[IndexEntry, ...]
    classes: tuple[str, ...]
    readable_names: dict[str, str]
    templates: tuple[str, ...] | None
    rejected: tuple[Rejected, ...]  # the first MAX_REJECTED_KEPT by name
    rejected_count: int

    @classmethod
    def of(
        cls,
        entries: list[IndexEntry],
        *,
        classes: list[str],
        readable_names: dict[str, str],
        templates: list[str] | None,
        rejected: list[Rejected],
    ) -> DatasetIndex:
        """Entries by split, class and name, whatever order they were read in."""
        splits = sorted_splits({entry.split for entry in entries})
        names = sorted_classes({entry.class_name for entry in entries})
        split_order = {name: number for number, name in enumerate(splits)}
        class_order = {name: number for number, name in enumerate(names)}
        return cls(
            entries=tuple(
                sorted(
                    entries,
                    key=lambda e: (split_order[e.split], class_order[e.class_name], e.key),
                )
            ),
            classes=tuple(classes),
            readable_names={name: readable_names[name] for name in sorted(readable_names)},
            templates=None if templates is None else tuple(templates),
            rejected=tuple(sorted(rejected, key=lambda r: r.key)[:MAX_REJECTED_KEPT]),
            rejected_count=len(rejected),
        )

    @cached_property
    def splits(self) -> dict[str, tuple[IndexEntry, ...]]:
        """Entries of each split: train, val, test, then the others by name."""
        found: dict[str, list[IndexEntry]] = {}
        for entry in self.entries:
            found.setdefault(entry.split, []).append(entry)
        return {split: tuple(entries) for split, entries in found.items()}

    @cached_property
    def duplicates(self) -> Duplicates:
        """Images with identical pixels, across splits and under two labels."""
        return find_duplicates(self.entries)

    def entries_of(self, split: str) -> list[IndexEntry]:
        """The split's entries by class order, then name. Raises InvalidDataset for no split."""
        if split not in self.splits:
            raise InvalidDataset(
                f"The data set has no split {shown(split)}; it has {', '.join(self.splits)}.",
                code="unknown_split",
            )
        return list(self.splits[split])

    def summary(self) -> dict[str, Any]:
        """JSON-able and bounded: what a job's event and a file's page show."""
        return {
            "images": len(self.entries),
            "classes": len(self.classes),
            "splits": {
                split: {
                    "images": len(entries),
                    "classes": dict(Counter(entry.class_name for entry in entries)),
                    "groups": dict(Counter(entry.group for entry in entries if entry.group)),
                }
                for split, entries in self.splits.items()
            },
            "rejected_count": self.rejected_count,
            "rejected": [
                {"file": rejected.key, "reason": rejected.reason}
                for rejected in self.rejected[:_MAX_IN_SUMMARY]
            ],
            "duplicates": self.duplicates.summary(),
        }

    def to_parquet_bytes(self) -> bytes:
        """Equal content, equal bytes."""
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "classes": self.classes,
            "readable_names": self.readable_names,
            "templates": self.templates,
            "rejected": [dataclasses.astuple(rejected) for rejected in self.rejected],
            "rejected_count": self.rejected_count,
        }
        encoded = json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode()
        columns = [
            pa.array([getattr(entry, field.name) for entry in self.entries], type=field.type)
            if field.name != "pixel_digest"
            else pa.array([bytes.fromhex(e.pixel_digest) for e in self.entries], type=field.type)
            for field in _COLUMNS
        ]
        schema = _COLUMNS.with_metadata({_METADATA_KEY: encoded})
        out = io.BytesIO()
        pq.write_table(
            pa.Table.from_arrays(columns, schema=schema),
            out,
            compression="zstd",
            row_group_size=_ROW_GROUP,
        )
        return out.getvalue()

    @classmethod
    def from_parquet_bytes(cls, data: bytes) -> DatasetIndex:
        """What `to_parquet_bytes` wrote. Raises StorageFault when it did not."""
        try:
            table = pq.read_table(io.BytesIO(data))
            metadata = json.loads(table.schema.metadata[_METADATA_KEY])
            return cls(
                entries=_entries(table, metadata["schema_version"]),
                classes=tuple(metadata["classes"]),
                readable_names=metadata["readable_names"],
                templates=None if metadata["templates"] is None else tuple(metadata["templates"]),
                rejected=tuple(Rejected(*rejected) for rejected in metadata["rejected"]),
                rejected_count=metadata["rejected_count"],
            )
        except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
            raise StorageFault(
                f"The stored index of the data set cannot be read ({error}). Delete it: it is "
                "made again from the archive.",
                code="damaged_index",
            ) from error


def _entries(table: pa.Table, schema_version: int) -> tuple[IndexEntry, ...]:
    if schema_version not in (1, SCHEMA_VERSION):
        raise ValueError(f"schema version {schema_version}")
    if schema_version == 1:
        table = table.append_column("group", pa.nulls(table.num_rows, pa.string()))
    columns = [table.column(field.name).to_pylist() for field in _COLUMNS]
    return tuple(
        IndexEntry(key, split, name, width, height, size, digest.hex(), group)
        for key, split, name, width, height, size, digest, group in zip(*columns, strict=True)
    )
