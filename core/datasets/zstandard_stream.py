"""Zstandard (RFC 8878) as a stream, decompressed by Arrow.

Imported by those that read one: Arrow takes a while to load. A frame may ask for a window of up to
128 MiB, which is libzstd's own bound.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa

from core.datasets.limits import Limits
from core.datasets.sources import CHUNK_BYTES, ByteSource, Decompressed, truncated
from core.errors import InvalidDataset

MAGIC = b"\x28\xb5\x2f\xfd"


class ZstandardStream(Decompressed):
    """What the Zstandard file decompresses to."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        super().__init__(source, limits)
        compressed = pa.PythonFile(_Counted(self), mode="r")
        self._stream: Any = pa.CompressedInputStream(compressed, "zstd")

    def _produce(self) -> bytes:
        try:
            return bytes(self._stream.read(CHUNK_BYTES))
        except OSError as error:
            if "Truncated" in str(error):
                raise truncated(self._source.size) from error
            raise InvalidDataset(
                f"The Zstandard data is damaged near byte {self._consumed}: {error}. Upload the "
                "archive again.",
                code="archive_corrupt",
            ) from error

    def take(self, count: int) -> bytes:
        """The next compressed bytes."""
        data = self._source.at(self._consumed, count)
        self._consumed += len(data)
        return data


class _Counted(io.RawIOBase):
    """The compressed file as Arrow reads it."""

    def __init__(self, stream: ZstandardStream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.take(CHUNK_BYTES if size < 0 else size)
