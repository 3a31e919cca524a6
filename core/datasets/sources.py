"""Bytes of an archive: at a position, or as a stream that only goes forward.

`ByteSource` reads with `pread`, so threads can share one open file. `GzipStream` counts what it
really produces: what a compressed archive says of its own size is not believed.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Protocol

from core.datasets.limits import Limits
from core.errors import InvalidDataset, TooLarge

CHUNK_BYTES = 256 * 1024
_MAX_READ_BYTES = 1 << 30  # one pread; Linux stops just short of 2 GiB
# Below this a ratio says nothing: a blank picture or a tar's padding compresses a thousandfold.
RATIO_FREE_ARCHIVE_BYTES = 64 * 1024 * 1024


class Stream(Protocol):
    """Bytes in order. `position` counts from the start of what is read, not of the file."""

    position: int

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end."""

    def skip(self, count: int) -> None:
        """Leave out `count` bytes. Raises InvalidDataset when there are not so many."""


def gunzip(source: Path, target: Path, limits: Limits) -> None:
    """Write what a gzip file decompresses to; a plain copy can be read by position.

    Raises InvalidDataset or TooLarge as reading the archive would.
    """
    archive = ByteSource(source)
    try:
        stream = GzipStream(archive, limits)
        with target.open("wb") as out:
            while block := stream.read(CHUNK_BYTES):
                out.write(block)
    finally:
        archive.close()


def is_gzip(path: Path) -> bool:
    """By its first bytes (RFC 1952, 2.3.1)."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class ByteSource:
    """A file's bytes by position. Closing it is the archive's business."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the file."""
        if offset >= self.size:  # an offset of a lying header may not even fit the system call
            return b""
        data = os.pread(self._file.fileno(), min(count, _MAX_READ_BYTES), offset)
        if len(data) == count or not data:
            return data
        parts = [data]
        got = len(data)
        while got < count and data:
            data = os.pread(self._file.fileno(), min(count - got, _MAX_READ_BYTES), offset + got)
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()


class FileStream:
    """The file as it is."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.position = 0

    def read(self, count: int) -> bytes:
        data = self._source.at(self.position, count)
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        if self.position + count > self._source.size:
            raise truncated(self._source.size)
        self.position += count


class GzipStream:
    """What the gzip file decompresses to, counted as it is made (RFC 1952).

    Several members in a row are one stream (pigz and bgzip write such). After the last member
    only zeros may follow, as tapes pad; anything else would be data that one tool sees and
    another does not.
    """

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._consumed = 0
        self._produced = 0
        self._pending = b""
        self._decompressor = zlib.decompressobj(wbits=31)
        self._buffer = b""
        self._buffer_start = 0
        self.position = 0

    def read(self, count: int) -> bytes:
        start = self._buffer_start
        if len(self._buffer) - start >= count:
            self._buffer_start = start + count
            self.position += count
            return self._buffer[start : start + count]
        parts = [self._buffer[start:]]
        missing = count - len(parts[0])
        self._buffer, self._buffer_start = b"", 0
        while missing and (produced := self._produce()):
            parts.append(produced[:missing])
            if len(produced) > missing:
                self._buffer, self._buffer_start = produced, missing
            missing -= len(parts[-1])
        self.position += count - missing
        return b"".join(parts)

    def skip(self, count: int) -> None:
        while count:
            skipped = len(self.read(min(count, CHUNK_BYTES)))
            if not skipped:
                raise truncated(self._source.size)
            count -= skipped

    def _produce(self) -> bytes:
        """Some more bytes; none at the end."""
        while True:
            if self._decompressor.eof and not self._next_member():
                return b""
            if not self._pending:
                self._fill()
            exhausted = not self._pending
            try:
                produced = self._decompressor.decompress(self._pending, CHUNK_BYTES)
            except zlib.error as error:
                raise InvalidDataset(
                    f"The gzip data is damaged near byte {self._consumed}: {error}. Upload the "
                    "archive again.",
                    code="archive_corrupt",
                ) from error
            ended = self._decompressor.eof
            self._pending = (
                self._decompressor.unused_data if ended else self._decompressor.unconsumed_tail
            )
            if produced:
                self._count(len(produced))
                return produced
            if exhausted and not ended:
                raise truncated(self._source.size)

    def _next_member(self) -> bool:
        if not self._pending:
            self._fill()
        while self._pending:
            if self._pending[0]:
                break
            self._pending = self._pending.lstrip(b"\0")
            if not self._pending:
                self._fill()
        if not self._pending:
            return False
        if len(self._pending) < 2:
            self._fill()
        if not self._pending.startswith(b"\x1f\x8b"):
            raise InvalidDataset(
                f"Data that is not gzip follows the gzip data, near byte {self._consumed} of "
                f"{self._source.size}. Make the archive again.",
                code="trailing_data",
            )
        self._decompressor = zlib.decompressobj(wbits=31)
        return True

    def _fill(self) -> None:
        more = self._source.at(self._consumed, CHUNK_BYTES)
        self._consumed += len(more)
        self._pending += more

    def _count(self, produced: int) -> None:
        self._produced += produced
        limits = self._limits
        if self._produced > limits.max_archive_bytes:
            raise TooLarge(
                f"The archive decompresses to more than {limits.max_archive_bytes} bytes, the "
                "most an archive may hold. Split the data set.",
                code="archive_too_large",
            )
        if (
            self._produced > RATIO_FREE_ARCHIVE_BYTES
            and self._produced > limits.max_compression_ratio * self._consumed
        ):
            raise TooLarge(
                f"The archive decompresses {self._consumed} bytes to {self._produced} so far; the "
                f"largest ratio accepted is {limits.max_compression_ratio:g}. Images hardly "
                "compress: check what the archive holds.",
                code="compression_ratio",
            )


def truncated(size: int) -> InvalidDataset:
    """The archive ends in the middle of something."""
    return InvalidDataset(
        f"The archive ends too early, at byte {size}: it was cut off. Upload it again.",
        code="archive_truncated",
    )
