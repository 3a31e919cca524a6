"""Bytes of an archive: at a position, or as a stream that only goes forward.

`ByteSource` reads with `pread`, so threads can share one open file. What a compressed archive says
of its own size is not believed: a stream counts what it really produces.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
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


class ByteSource:
    """A file's bytes by position. Closing it is the archive's business."""

    def __init__(self, path: Path) -> None:
        self.path = path
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


class Decompressed(ABC):
    """A stream of what a compressed file holds, counted as it is made."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._consumed = 0
        self._produced = 0
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
            self._count(len(produced))
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

    def write_to(self, target: Path) -> None:
        """Write all of it: a plain copy can be read by position."""
        with target.open("wb") as out:
            while block := self.read(CHUNK_BYTES):
                out.write(block)

    @abstractmethod
    def _produce(self) -> bytes:
        """Some more bytes, not many more than CHUNK_BYTES; none at the end."""

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
