"""Plain copies of what can only be read from its start: trainers read images by position.

A copy holds the same images under the same names, so that an index made of the one fits the other.
"""

from __future__ import annotations

import io
from pathlib import Path

from core.datasets.archive import open_archive
from core.datasets.gzip_stream import MAGIC as GZIP
from core.datasets.gzip_stream import GzipStream
from core.datasets.layouts.zip_stream import zip_stream
from core.datasets.limits import Limits
from core.datasets.sources import ByteSource, Decompressed

_ZSTANDARD, _PARQUET = b"\x28\xb5\x2f\xfd", b"PAR1"


def is_plain(path: Path) -> bool:
    """Whether the archive can be read by position as it is."""
    return not _start(path).startswith((GZIP, _ZSTANDARD, _PARQUET))


def write_plain(source: Path, target: Path, limits: Limits) -> None:
    """Write the copy of an archive that is not plain.

    Raises InvalidDataset or TooLarge as reading the archive would.
    """
    if _start(source) == _PARQUET:
        _write_zip(source, target, limits)
        return
    archive = ByteSource(source)
    try:
        _decompressed(archive, limits).write_to(target)
    finally:
        archive.close()


def _write_zip(source: Path, target: Path, limits: Limits) -> None:
    with (
        open_archive(source, limits) as archive,
        target.open("w+b") as file,
        zip_stream(file) as copy,
    ):
        for name, data in archive.iterate([entry.name for entry in archive.entries]):
            copy.add(name, io.BytesIO(data))


def _decompressed(source: ByteSource, limits: Limits) -> Decompressed:
    if source.at(0, 2) == GZIP:
        return GzipStream(source, limits)
    from core.datasets.zstandard_stream import ZstandardStream

    return ZstandardStream(source, limits)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)
