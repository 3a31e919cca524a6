"""A ZIP of stored files, written in constant memory however many files it holds.

`zipfile` keeps some 400 bytes for each entry until it writes the directory: half a gigabyte for
ImageNet. Here the directory waits in a temporary file, and a file's size and checksum are known
before its header is made, so that an archive can be sent while it is made. Names are UTF-8, times
are 1980-01-01 (a file's content is what identifies a data set, so equal trees must give equal
archives).
Format: APPNOTE.TXT 6.3.10, with ZIP64 where a number does not fit.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from core.datasets.names import shown
from core.errors import InvalidDataset

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_END64_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_OFFSET64 = struct.Struct("<2HQ")  # 4.5.3, with the offset alone
_ABSENT_16, _ABSENT_32 = 0xFFFF, 0xFFFFFFFF  # "see the ZIP64 field"
_UTF8, _STORED = 0x0800, 0
_MIDNIGHT, _FIRST_DAY = 0, 0x0021  # MS-DOS time and date of 1980-01-01 00:00
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_CHUNK = 1024 * 1024


def zip_size(entries: Iterable[tuple[str, int]]) -> int:
    """Bytes of the archive of files with these names and sizes."""
    offset = directory = count = 0
    for name, size in entries:
        length = len(_encoded(name))
        directory += _CENTRAL.size + length + (_OFFSET64.size if offset >= _ABSENT_32 else 0)
        offset += _LOCAL.size + length + size
        count += 1
    wide = _END64.size + _END64_LOCATOR.size if _is_wide(count, directory, offset) else 0
    return offset + directory + wide + _END.size


@contextmanager
def zip_stream(target: BinaryIO) -> Iterator[ZipStream]:
    """Write an archive to `target`, an empty file.

    It is whole when the block ends without an exception.
    """
    with tempfile.TemporaryFile() as directory:
        stream = ZipStream(target, ZipParts(directory))
        yield stream
        stream.finish()


class ZipStream:
    """An archive that is being written; made by `zip_stream`."""

    def __init__(self, target: BinaryIO, parts: ZipParts) -> None:
        self._target = target
        self._parts = parts

    def add(self, name: str, content: BinaryIO) -> None:
        """Copy the rest of `content` in under `name`; it is read twice.

        Raises InvalidDataset from 4 GiB on, as no image is that large, and for a name that is
        no text.
        """
        start = content.tell()
        size, crc32 = measured(content)
        content.seek(start)
        self._target.write(self._parts.header(name, size, crc32))
        while chunk := content.read(_CHUNK):
            self._target.write(chunk)

    def finish(self) -> None:
        """Write the directory and the end records."""
        for chunk in self._parts.ending():
            self._target.write(chunk)


class ZipParts:
    """The bytes of an archive that are not its files'."""

    def __init__(self, directory: IO[bytes]) -> None:
        """`directory` is an empty file, open for as long as the archive is being made."""
        self._directory = directory
        self._offset = 0
        self._count = 0

    def header(self, name: str, size: int, crc32: int) -> bytes:
        """What stands before the content of a file, which must follow. Raises as `add` does."""
        raw_name = _encoded(name)
        if size >= _ABSENT_32:
            raise InvalidDataset(
                f"{name} has {size} bytes; an image must be smaller than 4 GiB. Take it out.",
                code="file_too_large",
            )
        kept = (_UTF8, _STORED, _MIDNIGHT, _FIRST_DAY, crc32, size, size, len(raw_name))
        self._list(raw_name, kept, self._offset)
        header = _LOCAL.pack(b"PK\x03\x04", _PLAIN_VERSION, *kept, 0) + raw_name
        self._offset += len(header) + size
        return header

    def ending(self) -> Iterator[bytes]:
        """What stands after the last file."""
        count, offset, size = self._count, self._offset, self._directory.tell()
        self._directory.seek(0)
        while chunk := self._directory.read(_CHUNK):
            yield chunk
        if _is_wide(count, size, offset):
            versions = (_MADE_ON_UNIX | _ZIP64_VERSION, _ZIP64_VERSION)
            yield _END64.pack(
                b"PK\x06\x06", _END64.size - 12, *versions, 0, 0, count, count, size, offset
            )
            yield _END64_LOCATOR.pack(b"PK\x06\x07", 0, offset + size, 1)
        short = min(count, _ABSENT_16)
        places = (min(size, _ABSENT_32), min(offset, _ABSENT_32))
        yield _END.pack(b"PK\x05\x06", 0, 0, short, short, *places, 0)

    def _list(self, raw_name: bytes, kept: tuple[int, ...], offset: int) -> None:
        wide = offset >= _ABSENT_32
        extra = _OFFSET64.pack(0x0001, 8, offset) if wide else b""
        version = _ZIP64_VERSION if wide else _PLAIN_VERSION
        record = _CENTRAL.pack(
            b"PK\x01\x02",
            _MADE_ON_UNIX | version,
            version,
            *kept,
            len(extra),
            0,  # comment
            0,  # disk
            0,  # internal attributes
            _REGULAR_FILE,
            _ABSENT_32 if wide else offset,
        )
        self._directory.write(record + raw_name + extra)
        self._count += 1


def measured(content: IO[bytes]) -> tuple[int, int]:
    """Size and checksum (CRC-32) of the rest of a file."""
    size = crc32 = 0
    while chunk := content.read(_CHUNK):
        size += len(chunk)
        crc32 = zlib.crc32(chunk, crc32)
    return size, crc32


def _is_wide(count: int, directory_size: int, directory_offset: int) -> bool:
    """Whether the end record's fields are too small for these."""
    return count >= _ABSENT_16 or max(directory_size, directory_offset) >= _ABSENT_32


def _encoded(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as fault:
        raise InvalidDataset(
            f"The file name {shown(name)} is not UTF-8. Rename the file.", code="file_name"
        ) from fault
