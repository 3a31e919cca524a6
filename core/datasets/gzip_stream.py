"""gzip (RFC 1952) as a stream.

Several members in a row are one stream (pigz and bgzip write such). After the last member only
zeros may follow, as tapes pad; anything else would be data that one tool sees and another does not.
"""

from __future__ import annotations

import zlib

from core.datasets.limits import Limits
from core.datasets.sources import CHUNK_BYTES, ByteSource, Decompressed, truncated
from core.errors import InvalidDataset

MAGIC = b"\x1f\x8b"


class GzipStream(Decompressed):
    """What the gzip file decompresses to."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        super().__init__(source, limits)
        self._pending = b""
        self._decompressor = zlib.decompressobj(wbits=31)

    def _produce(self) -> bytes:
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
        if not self._pending.startswith(MAGIC):
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
