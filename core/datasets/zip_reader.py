"""ZIP archives: the local headers compared with the directory, and bounded reading.

A ZIP names every file twice, and tools differ in which they believe. Both must agree here, and
no two entries may share bytes: that is how one kilobyte becomes petabytes (the overlapping bomb).
"""

from __future__ import annotations

import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from itertools import pairwise

from core.datasets.container import (
    Archive,
    Collector,
    Entry,
    looks_like_archive,
    nested_archive,
    unsupported_entry,
)
from core.datasets.limits import Limits
from core.datasets.names import shown
from core.datasets.sources import RATIO_FREE_ARCHIVE_BYTES, ByteSource, truncated
from core.datasets.zip_directory import (
    Directory,
    DirectoryEntry,
    damaged,
    find_directory,
    read_directory,
    zip64_values,
)
from core.errors import InvalidDataset, TooLarge

_LOCAL = struct.Struct("<4s5H3L2H")  # APPNOTE.TXT 4.3.7
_STORED, _DEFLATED = 0, 8
_ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000  # traditional, strong, masked headers
_DESCRIPTOR_FLAG = 0x0008  # sizes follow the data; Finder and streaming writers set it
_PATCH_FLAG = 0x0020
_ABSENT_32 = 0xFFFFFFFF
# A blank picture compresses a thousandfold, and below this size that harms nobody.
RATIO_FREE_ENTRY_BYTES = 1024 * 1024
_DEFLATE_OVERHEAD_BYTES = 1024  # what does not compress grows by 5 bytes for each 16 KiB or so


class ZipArchive(Archive):
    """A ZIP archive whose every header was checked when it was opened."""

    format = "zip"

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        super().__init__(source, limits)
        directory = find_directory(source, limits)
        collector = Collector(limits)
        extents = _Extents()
        stored_bytes = total_bytes = 0
        for record in read_directory(source, directory):
            name = collector.name(record.name.removesuffix("/") or record.name)
            _check_kind(record, name)
            _check_sizes(record, name, limits)
            data_offset = _check_local_header(source, directory, record, name)
            extents.add(record.header_offset, data_offset + record.stored_size, name)
            stored_bytes += record.stored_size
            total_bytes += record.size
            if _is_folder(record):
                collector.add_folder(name)
                continue
            deflated = record.method == _DEFLATED
            collector.add_file(
                Entry(name, record.size, data_offset, record.stored_size, deflated, record.crc32)
            )
        extents.check()
        _check_ratio(total_bytes, stored_bytes, limits)
        collector.finish()
        self.entries, self.folders = collector.entries, collector.folders

    def _read(self, entries: list[Entry]) -> Iterator[tuple[str, bytes]]:
        for entry in entries:
            data = self._source.at(entry.offset, entry.stored_size)
            if len(data) != entry.stored_size:
                raise truncated(self._source.size)
            if entry.deflated:
                data = _inflate(data, entry)
            if zlib.crc32(data) != entry.crc32:
                raise damaged(
                    f"the entry {shown(entry.name)} has the checksum {zlib.crc32(data):08x} and "
                    f"should have {entry.crc32:08x}"
                )
            if looks_like_archive(data):
                raise nested_archive(entry.name)
            yield entry.name, data


class _Extents:
    """The bytes that entries take, to find any two that share some.

    Entries nearly always come in the order of their data; then one number is enough.
    """

    def __init__(self) -> None:
        self._ordered_end = 0
        self._ordered = True
        self._starts = array("Q")
        self._ends = array("Q")
        self._names: list[str] = []

    def add(self, start: int, end: int, name: str) -> None:
        self._ordered = self._ordered and start >= self._ordered_end
        self._ordered_end = end
        self._starts.append(start)
        self._ends.append(end)
        self._names.append(name)

    def check(self) -> None:
        if self._ordered:
            return
        order = sorted(range(len(self._starts)), key=self._starts.__getitem__)
        for before, after in pairwise(order):
            if self._starts[after] < self._ends[before]:
                raise InvalidDataset(
                    f"The entries {shown(self._names[before])} and {shown(self._names[after])} "
                    "share bytes of the archive. Make the archive again.",
                    code="overlapping_entries",
                )


def _is_folder(record: DirectoryEntry) -> bool:
    return record.name.endswith("/") or stat.S_ISDIR(record.unix_mode)


def _check_kind(record: DirectoryEntry, name: str) -> None:
    if record.flags & _ENCRYPTED_FLAGS:
        raise InvalidDataset(
            f"The entry {shown(name)} is encrypted. Upload the archive without a password.",
            code="encrypted_entry",
        )
    if record.method not in (_STORED, _DEFLATED) or record.flags & _PATCH_FLAG:
        raise InvalidDataset(
            f"The entry {shown(name)} uses ZIP compression method {record.method}; only 0 "
            "(stored) and 8 (deflated) are read. Make the archive with one of these.",
            code="unsupported_compression",
        )
    kind = stat.S_IFMT(record.unix_mode)
    if kind == stat.S_IFLNK:
        raise unsupported_entry(name, "a symbolic link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unsupported_entry(name, "a device, pipe or socket")


def _check_sizes(record: DirectoryEntry, name: str, limits: Limits) -> None:
    if _is_folder(record) and record.size:
        raise damaged(f"the folder {shown(name)} has {record.size} bytes of data")
    if record.method == _STORED and record.size != record.stored_size:
        raise damaged(
            f"the entry {shown(name)} is stored uncompressed in {record.stored_size} bytes and "
            f"claims {record.size}"
        )
    if record.stored_size > record.size + record.size // 8 + _DEFLATE_OVERHEAD_BYTES:
        # Empty blocks without end would be read into memory to make a small file.
        raise damaged(
            f"the entry {shown(name)} takes {record.stored_size} bytes to store {record.size}"
        )
    if (
        record.size > RATIO_FREE_ENTRY_BYTES
        and record.size > limits.max_compression_ratio * record.stored_size
    ):
        raise TooLarge(
            f"The entry {shown(name)} decompresses {record.stored_size} bytes to {record.size}; "
            f"the largest ratio accepted is {limits.max_compression_ratio:g}. Images hardly "
            "compress: check the file.",
            code="compression_ratio",
        )


def _check_ratio(total_bytes: int, stored_bytes: int, limits: Limits) -> None:
    if (
        total_bytes > RATIO_FREE_ARCHIVE_BYTES
        and total_bytes > limits.max_compression_ratio * stored_bytes
    ):
        raise TooLarge(
            f"The archive decompresses {stored_bytes} bytes to {total_bytes}; the largest ratio "
            f"accepted is {limits.max_compression_ratio:g}. Check what it holds.",
            code="compression_ratio",
        )


def _check_local_header(
    source: ByteSource, directory: Directory, record: DirectoryEntry, name: str
) -> int:
    """Where the entry's data starts. Raises when its local header says something else."""
    name_size = len(record.raw_name)
    header = source.at(record.header_offset, _LOCAL.size + name_size)
    if len(header) < _LOCAL.size + name_size or not header.startswith(b"PK\x03\x04"):
        raise damaged(f"the entry {shown(name)} is not where the directory says")
    _, _, flags, method, _, _, crc32, stored_size, size, local_name_size, extra_size = (
        _LOCAL.unpack_from(header)
    )
    if local_name_size != name_size or header[_LOCAL.size :] != record.raw_name:
        raise _disagreement(name, "another name")
    if method != record.method or (flags ^ record.flags) & (_ENCRYPTED_FLAGS | _PATCH_FLAG):
        raise _disagreement(name, "another compression or encryption")
    extra_offset = record.header_offset + _LOCAL.size + name_size
    if size == _ABSENT_32 and stored_size == _ABSENT_32:
        extra = source.at(extra_offset, extra_size)
        size, stored_size = zip64_values(extra, 2, name)
    # With a descriptor the true values follow the data, and here are zeros or, from some
    # writers, the values all the same; nothing else.
    declared: tuple[int, ...] = (crc32, stored_size, size)
    true = (record.crc32, record.stored_size, record.size)
    if flags & _DESCRIPTOR_FLAG:
        declared = tuple(here or there for here, there in zip(declared, true, strict=True))
    if declared != true:
        raise _disagreement(name, f"{size} bytes, {stored_size} stored, checksum {crc32:08x}")
    data_offset: int = extra_offset + extra_size
    if data_offset + record.stored_size > directory.offset:
        raise InvalidDataset(
            f"The entry {shown(name)} reaches into the archive's directory. Make the archive "
            "again.",
            code="overlapping_entries",
        )
    return data_offset


def _disagreement(name: str, what: str) -> InvalidDataset:
    return InvalidDataset(
        f"The entry {shown(name)} has {what} in its local header than in the archive's "
        "directory. Make the archive again.",
        code="header_mismatch",
    )


def _inflate(data: bytes, entry: Entry) -> bytes:
    decompressor = zlib.decompressobj(wbits=-15)
    try:
        # One byte more than declared is enough to catch a header that lies.
        inflated = decompressor.decompress(data, entry.size + 1)
    except zlib.error as error:
        raise damaged(f"the entry {shown(entry.name)} does not decompress: {error}") from error
    if len(inflated) > entry.size:
        raise InvalidDataset(
            f"The entry {shown(entry.name)} declares {entry.size} bytes and decompresses to more. "
            "Make the archive again.",
            code="lying_header",
        )
    if len(inflated) < entry.size or not decompressor.eof or decompressor.unused_data:
        raise damaged(
            f"the entry {shown(entry.name)} declares {entry.size} bytes and decompresses to "
            f"{len(inflated)}"
        )
    return inflated
