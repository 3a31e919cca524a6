"""Opening an archive: what it is by its content, never by its name or its content type."""

from __future__ import annotations

from pathlib import Path

from core.datasets.container import Archive, Entry, Format, empty_archive
from core.datasets.gzip_stream import MAGIC as GZIP
from core.datasets.gzip_stream import GzipStream
from core.datasets.labelled import labelled
from core.datasets.limits import Limits
from core.datasets.sources import ByteSource, Stream, truncated
from core.datasets.tar_header import BLOCK_BYTES, is_header
from core.datasets.tar_reader import TarArchive
from core.datasets.zip_directory import END_MAGIC, ends_as_zip
from core.datasets.zip_reader import ZipArchive
from core.errors import InvalidDataset, TooLarge

__all__ = ["Archive", "Entry", "Format", "may_expand", "open_archive"]

_ZSTANDARD, _PARQUET = b"\x28\xb5\x2f\xfd", b"PAR1"
_ACCEPTED = "a ZIP or TAR archive, plain or compressed with gzip or Zstandard,"

# Known by their first bytes, for a message that helps more than "not an archive".
_KNOWN = (
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xff\xd8\xff", "a single JPEG image"),
    (b"\x89PNG", "a single PNG image"),
    (b"%PDF", "a PDF document"),
)


def open_archive(path: Path, limits: Limits) -> Archive:
    """The archive at `path`, every header of it checked. Use it as a context manager.

    Raises InvalidDataset or TooLarge, with a `code` of its own for every fault.
    """
    source = ByteSource(path)
    try:
        return labelled(_open(source, limits), limits)
    except BaseException:
        source.close()
        raise


def may_expand(path: Path) -> bool:
    """Whether it may hold far more than its size, or takes more than this room's own readers."""
    with path.open("rb") as file:
        return file.read(4).startswith((GZIP, _ZSTANDARD, _PARQUET))


def _open(source: ByteSource, limits: Limits) -> Archive:
    if not source.size:
        raise empty_archive()
    if source.size > limits.max_file_bytes:
        raise TooLarge(
            f"The archive has {source.size} bytes; the most is {limits.max_file_bytes}. Split the "
            "data set.",
            code="file_too_large",
        )
    start = source.at(0, BLOCK_BYTES)
    if start.startswith((b"PK\x03\x04", END_MAGIC)):
        if is_header(start):
            raise _two_things("a ZIP and a TAR archive")
        return ZipArchive(source, limits)
    known = (GZIP, _ZSTANDARD, _PARQUET)
    if (start.startswith(known) or is_header(start)) and ends_as_zip(source):
        raise _two_things("another archive and a ZIP archive")
    if start.startswith(GZIP):
        _check_tar_within(GzipStream(source, limits), "gzip")
        return TarArchive(source, limits, "tar.gz", GzipStream)
    if start.startswith(_ZSTANDARD):
        from core.datasets.zstandard_stream import ZstandardStream

        _check_tar_within(ZstandardStream(source, limits), "Zstandard")
        return TarArchive(source, limits, "tar.zst", ZstandardStream)
    if start.startswith(_PARQUET):
        from core.datasets.parquet_reader import ParquetArchive

        return ParquetArchive(source, limits)
    if is_header(start):
        return TarArchive(source, limits)
    raise _not_an_archive(source, start)


def _two_things(what: str) -> InvalidDataset:
    return InvalidDataset(
        f"The file is {what} at once: what it holds depends on who looks. Make one archive.",
        code="ambiguous_archive",
    )


def _check_tar_within(stream: Stream, compression: str) -> None:
    block = stream.read(BLOCK_BYTES)
    if len(block) == BLOCK_BYTES and not any(block):
        return  # an empty tar, which the reader calls so
    if not is_header(block):
        raise InvalidDataset(
            f"The file is {compression} data and holds no TAR archive (it starts {block[:16]!r}). "
            f"Upload {_ACCEPTED}.",
            code="not_an_archive",
        )


def _not_an_archive(source: ByteSource, start: bytes) -> InvalidDataset:
    if len(start) == BLOCK_BYTES and not any(start):
        return empty_archive()  # what an empty TAR is
    if start.startswith(b"PK\x07\x08"):
        return InvalidDataset(
            "The archive is one part of a multi-part ZIP. Upload a single archive.",
            code="multi_part_archive",
        )
    tail_bytes = min(source.size, 66_000)
    if END_MAGIC in source.at(source.size - tail_bytes, tail_bytes):
        # A program, an image or a page with a ZIP behind it: what it is depends on who looks.
        return InvalidDataset(
            f"Data stands before the ZIP archive (the file starts {start[:16]!r}). "
            "Upload the archive alone.",
            code="prepended_data",
        )
    if 257 < source.size < BLOCK_BYTES and start[257:262] == b"ustar":
        return truncated(source.size)
    what = next((name for magic, name in _KNOWN if start.startswith(magic)), None)
    seen = f"It is {what}." if what else f"It starts {start[:16]!r}."
    return InvalidDataset(
        f"The file is not a ZIP or TAR archive. {seen} Upload {_ACCEPTED} with a folder of images "
        "for each class.",
        code="not_an_archive",
    )
