"""Parquet in the Hugging Face image layout: a column of `{bytes, path}` and one of labels.

Read with Arrow, a few rows at a time: a column may say the same large value a million times in a
few bytes. Rows are seen as `train/class/row.jpg`. Arrow is C++ that was not made for hostile bytes,
so the API reads these files in a process of their own (`core.datasets.apart`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.datasets.container import (
    Archive,
    Collector,
    Entry,
    looks_like_archive,
    nested_archive,
)
from core.datasets.image_kinds import HEAD_BYTES, suffix_of
from core.datasets.labels import checked_label
from core.datasets.layout import TRAIN
from core.datasets.limits import Limits
from core.datasets.names import shown
from core.datasets.sources import RATIO_FREE_ARCHIVE_BYTES, ByteSource
from core.errors import InvalidDataset, TooLarge

MAGIC = b"PAR1"
IMAGE_COLUMNS = ("image", "img")  # which is meant where several could be
LABEL_COLUMNS = ("label", "labels")
_ROWS = 8  # in memory at a time
_BUFFER_BYTES = 1024 * 1024
_METADATA_BYTES = 64 * 1024 * 1024
_METADATA_ITEMS = 4_000_000


@dataclass(frozen=True)
class _Columns:
    """Where images and labels are, and what the labels' numbers mean."""

    image: str
    label: str
    names: list[str] | None


class ParquetArchive(Archive):
    """A Parquet file of labelled images. Opening one reads all of it, to know every size."""

    format = "parquet"

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        super().__init__(source, limits)
        collector = Collector(limits)
        total = 0
        with _faults():
            file = self._open()
            _check_rows(file.metadata.num_rows, limits)
            columns = _find_columns(file.schema_arrow)
            for row, (data, label) in enumerate(_rows(file, columns)):
                total += len(data)
                _check_ratio(total, source.size, limits)
                suffix = suffix_of(data[:HEAD_BYTES]) or ".png"  # what it is not, its check says
                name = f"{TRAIN}/{_class_name(label, columns, row)}/{row:08}{suffix}"
                if looks_like_archive(data):
                    raise nested_archive(name)
                collector.add_file(Entry(collector.name(name), len(data), row, len(data)))
        collector.finish()
        self.entries = collector.entries

    def _read(self, entries: list[Entry]) -> Iterator[tuple[str, bytes]]:
        """Entries are in the order of rows; row groups before the first are passed over."""
        wanted = {entry.offset: entry.name for entry in entries}
        last = max(wanted, default=-1)
        with _faults():
            file = self._open()
            columns = _find_columns(file.schema_arrow)
            start = 0
            for group in range(file.metadata.num_row_groups):
                rows = range(start, start + file.metadata.row_group(group).num_rows)
                start = rows.stop
                if rows.start > last:
                    return
                if not wanted.keys().isdisjoint(rows):
                    for row, (data, _) in zip(rows, _rows(file, columns, [group]), strict=True):
                        if row in wanted:
                            yield wanted[row], data

    def _open(self) -> Any:
        return pq.ParquetFile(
            self._source.path,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            thrift_string_size_limit=_METADATA_BYTES,
            thrift_container_size_limit=_METADATA_ITEMS,
        )


def _rows(
    file: Any, columns: _Columns, row_groups: list[int] | None = None
) -> Iterator[tuple[bytes, Any]]:
    """Bytes and label of each row."""
    batches = file.iter_batches(
        batch_size=_ROWS,
        row_groups=row_groups,
        columns=[f"{columns.image}.bytes", columns.label],
        use_threads=False,
    )
    row = 0
    for batch in batches:
        images = batch.column(columns.image).to_pylist()
        for image, label in zip(images, batch.column(columns.label).to_pylist(), strict=True):
            data = None if image is None else image["bytes"]
            if not isinstance(data, bytes):
                raise InvalidDataset(
                    f"Row {row} of the Parquet file holds no image bytes. Embed the images "
                    "(datasets' `embed_external_files`), a path alone leads nowhere.",
                    code="missing_image",
                )
            yield data, label
            row += 1


def _find_columns(schema: Any) -> _Columns:
    images = [field.name for field in schema if _holds_images(field.type)]
    image = next((name for name in IMAGE_COLUMNS if name in images), images[0] if images else None)
    features = _features(schema)
    classes = {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and isinstance(feature.get("names"), list)
    }
    candidates = [*LABEL_COLUMNS, *classes]
    label = next((name for name in candidates if name in schema.names), None)
    if image is None or label is None:
        lacking = "image column (a struct with bytes)" if image is None else "label column"
        raise InvalidDataset(
            f"The Parquet file has no {lacking}; its columns are "
            f"{', '.join(shown(name) for name in schema.names[:20])}. Save it as Hugging Face's "
            "image data sets are.",
            code="unknown_columns",
        )
    return _Columns(image, label, classes.get(label))


def _holds_images(kind: Any) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    held = kind.field("bytes").type
    return bool(pa.types.is_binary(held) or pa.types.is_large_binary(held))


def _features(schema: Any) -> dict[str, Any]:
    """What `datasets` wrote of the columns; nothing when that cannot be read."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        features = content["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _class_name(label: Any, columns: _Columns, row: int) -> str:
    where = f"Row {row} of the Parquet file"
    if columns.names is not None and isinstance(label, int):
        if not 0 <= label < len(columns.names):
            raise InvalidDataset(
                f"{where} has the label {label}; {shown(columns.label)} has the classes 0 to "
                f"{len(columns.names) - 1}. Leave rows without a label out.",
                code="invalid_label",
            )
        label = columns.names[label]
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise InvalidDataset(
            f"{where} has the label {shown(repr(label))}; a text or a number is needed.",
            code="invalid_label",
        )
    return checked_label(str(label), where)


def _check_rows(count: int, limits: Limits) -> None:
    if count > limits.max_archive_entries:
        raise TooLarge(
            f"The Parquet file has {count} rows; the most is {limits.max_archive_entries}. Split "
            "the data set.",
            code="too_many_entries",
        )


def _check_ratio(total: int, size: int, limits: Limits) -> None:
    if total > RATIO_FREE_ARCHIVE_BYTES and total > limits.max_compression_ratio * size:
        raise TooLarge(
            f"The Parquet file holds {total} bytes of images in {size} so far; the largest ratio "
            f"accepted is {limits.max_compression_ratio:g}. Images hardly compress: check it.",
            code="compression_ratio",
        )


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        reason = shown(str(error)) if str(error) else type(error).__name__
        raise InvalidDataset(
            f"The Parquet file is damaged: {reason}. Write it again and upload it.",
            code="archive_corrupt",
        ) from error
