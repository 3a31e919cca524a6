"""TAR archives, plain or compressed: headers parsed strictly, regular files read by position.

Read here rather than by `tarfile`, whose aim is to make the best of any tape: it stops without a
word at a damaged header (the rest of a data set would be missing), reads an extended header of
any declared size into memory, recurses over chained ones, and trusts sparse maps. Four fields of
a header are needed; POSIX.1-2017 `pax`, section "EXTENDED DESCRIPTION", says what they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.datasets.container import (
    Archive,
    Collector,
    Entry,
    Format,
    looks_like_archive,
    nested_archive,
    unsupported_entry,
)
from core.datasets.limits import Limits
from core.datasets.names import shown
from core.datasets.sources import (
    CHUNK_BYTES,
    ByteSource,
    Decompressed,
    FileStream,
    Stream,
    truncated,
)
from core.datasets.tar_header import BLOCK_BYTES, Header, damaged, parse_header, parse_records
from core.errors import InvalidDataset

# An extended header carries a path and perhaps a resource fork; it never needs more.
_MAX_EXTENDED_BYTES = 1024 * 1024
_MAX_EXTENDED_IN_A_ROW = 4
_REGULAR = (b"0", b"\0", b"7")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a pipe",
    b"S": "a sparse file",
}


class TarArchive(Archive):
    """A TAR archive whose every header was checked when it was opened.

    A compressed one is decompressed once for that, and once more for each `iterate` or `read`.
    """

    def __init__(
        self,
        source: ByteSource,
        limits: Limits,
        format: Format = "tar",
        decompressed: type[Decompressed] | None = None,
    ) -> None:
        super().__init__(source, limits)
        self.format = format
        self._decompressed = decompressed
        collector = Collector(limits)
        stream = self._stream()
        for header in _headers(stream):
            name = collector.name(header.name.removesuffix("/") or header.name)
            if header.kind == b"5" or (header.kind in _REGULAR and header.name.endswith("/")):
                if header.size:
                    raise damaged(f"the folder {shown(name)} has {header.size} bytes of data")
                collector.add_folder(name)
            elif header.kind in _REGULAR:
                collector.add_file(Entry(name, header.size, stream.position, header.size))
                stream.skip(_padded(header.size))
            else:
                raise unsupported_entry(name, _KINDS.get(header.kind, f"of type {header.kind!r}"))
        collector.finish()
        self.entries, self.folders = collector.entries, collector.folders

    def _stream(self) -> Stream:
        if self._decompressed is None:
            return FileStream(self._source)
        return self._decompressed(self._source, self._limits)

    def _read(self, entries: list[Entry]) -> Iterator[tuple[str, bytes]]:
        stream = self._stream()
        for entry in entries:
            stream.skip(entry.offset - stream.position)
            data = stream.read(entry.size)
            if len(data) != entry.size:
                raise truncated(self._source.size)
            if looks_like_archive(data):
                raise nested_archive(entry.name)
            yield entry.name, data


def _headers(stream: Stream) -> Iterator[Header]:
    """The headers of entries, extended headers applied. The caller skips each entry's data."""
    long_name: bytes | None = None
    long_size: int | None = None
    extended = 0
    while (block := _next_block(stream)) is not None:
        header = parse_header(block)
        if header.kind not in (b"x", b"X", b"g", b"L", b"K"):
            yield header.replaced(long_name, long_size)
            long_name, long_size, extended = None, None, 0
            continue
        extended += 1
        payload = _extended_payload(stream, header, extended)
        if header.kind == b"L":
            long_name = payload.split(b"\0", 1)[0]
        elif header.kind != b"K":
            records = parse_records(payload)
            if header.kind == b"g" and not records.keys().isdisjoint((b"path", b"size")):
                raise damaged("a global extended header gives every entry one path or size")
            long_name = records.get(b"path", long_name)
            long_size = _record_size(records.get(b"size"), long_size)
    if extended:
        raise damaged("it ends with an extended header that belongs to no entry")


def _next_block(stream: Stream) -> bytes | None:
    """The next header block; None at a proper end of the archive."""
    block = stream.read(BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        # Without the closing zero blocks nobody can tell whether entries are missing.
        raise truncated(stream.position)
    if block.strip(b"\0"):
        return block
    while rest := stream.read(CHUNK_BYTES):
        # Zeros pad to a tape's record. Anything else is a second archive (`cat a.tar b.tar`),
        # of which most tools read only the first: better refused than half a data set.
        if rest.strip(b"\0"):
            raise InvalidDataset(
                f"Data follows the end of the TAR archive, before byte {stream.position}. Make "
                "one archive of everything.",
                code="trailing_data",
            )
    return None


def _extended_payload(stream: Stream, header: Header, extended: int) -> bytes:
    if header.size > _MAX_EXTENDED_BYTES or extended > _MAX_EXTENDED_IN_A_ROW:
        raise InvalidDataset(
            f"The archive has an extended header of {header.size} bytes, number {extended} in a "
            f"row; the most is {_MAX_EXTENDED_BYTES} bytes and {_MAX_EXTENDED_IN_A_ROW} in a row. "
            "Make it again without extended attributes.",
            code="extended_header_too_large",
        )
    payload = stream.read(header.size)
    if len(payload) < header.size:
        raise truncated(stream.position)
    stream.skip(_padded(header.size) - header.size)
    return payload


def _record_size(record: bytes | None, otherwise: int | None) -> int | None:
    if record is None:
        return otherwise
    if not record.isdigit() or len(record) > 18:
        raise damaged(f"an extended header gives the size {record[:20]!r}")
    return int(record)


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
