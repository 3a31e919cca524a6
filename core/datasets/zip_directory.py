"""The central directory of a ZIP archive: where it is and what it says (APPNOTE.TXT 6.3.10).

Read here rather than by `zipfile`, which is made to open whatever can be opened: it accepts
data before the archive, does not compare local headers with the directory, reads a directory of
any size into memory and keeps about a kilobyte for each entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from core.datasets.limits import Limits
from core.datasets.names import shown
from core.datasets.sources import CHUNK_BYTES, ByteSource, truncated
from core.errors import InvalidDataset, TooLarge

END_MAGIC = b"PK\x05\x06"
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_END64_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_HEADER = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_MAX_COMMENT_BYTES = 0xFFFF
_ABSENT_16, _ABSENT_32 = 0xFFFF, 0xFFFFFFFF  # "see the ZIP64 field"
_ZIP64_FIELD, _UNICODE_NAME_FIELD = 0x0001, 0x7075
_UTF8_FLAG = 0x0800


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies. It ends where the end records begin."""

    offset: int
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One record of the central directory, unchecked but for its own shape."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc32: int
    stored_size: int
    size: int
    header_offset: int
    unix_mode: int


def find_directory(source: ByteSource, limits: Limits) -> Directory:
    """The directory that the end records point to. Raises when there is not exactly one."""
    end_offset, fields = _find_end(source)
    _, disk, first_disk, disk_count, count, size, offset, _ = fields
    directory_end = end_offset
    locator = source.at(end_offset - 20, 20) if end_offset >= 20 else b""
    if locator.startswith(b"PK\x06\x07"):
        directory_end, wide = _read_end64(source, locator, end_offset)
        for narrow, absent, value in (
            (disk_count, _ABSENT_16, wide[6]),
            (count, _ABSENT_16, wide[7]),
            (size, _ABSENT_32, wide[8]),
            (offset, _ABSENT_32, wide[9]),
        ):
            if narrow not in (absent, value):
                raise damaged("its two end records disagree")
        disk_count, count, size, offset = wide[6:]
        disk, first_disk = max(wide[4], disk % _ABSENT_16), max(wide[5], first_disk % _ABSENT_16)
    if disk or first_disk or disk_count != count:
        raise InvalidDataset(
            "The archive is one part of a multi-part ZIP. Upload a single archive.",
            code="multi_part_archive",
        )
    if count > limits.max_archive_entries:
        raise TooLarge(
            f"The archive says it holds {count} entries; the most is "
            f"{limits.max_archive_entries}. Split the data set.",
            code="too_many_entries",
        )
    if offset + size != directory_end:
        # Also what data put before an archive looks like: every offset is then short by its size.
        raise damaged(
            f"its end record places the directory at bytes {offset} to {offset + size} and the "
            f"directory ends at {directory_end}"
        )
    return Directory(offset, size, count)


def ends_as_zip(source: ByteSource) -> bool:
    """Whether a tool that looks at the end would take the file for a ZIP archive."""
    return bool(_end_records(source)[0])


def read_directory(source: ByteSource, directory: Directory) -> Iterator[DirectoryEntry]:
    """The directory's records in order, without holding more than a piece of it."""
    buffer, start = b"", 0
    position, end = directory.offset, directory.offset + directory.size
    for number in range(directory.count):
        while True:
            record_end = start + _HEADER.size
            if record_end <= len(buffer):
                record_end += sum(_HEADER.unpack_from(buffer, start)[10:13])
                if record_end <= len(buffer):
                    break
            more = source.at(position, min(CHUNK_BYTES, end - position))
            if not more:
                raise damaged(f"its directory ends after {number} of {directory.count} entries")
            buffer, start, position = buffer[start:] + more, 0, position + len(more)
        yield _parse(buffer, start)
        start = record_end
    if position != end or start != len(buffer):
        raise damaged(f"its directory holds more than the {directory.count} entries it declares")


def zip64_values(extra: bytes, needed: int, name: str) -> tuple[int, ...]:
    """The first `needed` 64-bit values of the ZIP64 field (4.5.3)."""
    position, found = 0, None
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        body = extra[position + 4 : position + 4 + size]
        if kind == _ZIP64_FIELD:
            if found is not None or len(body) != size:
                raise damaged(f"the entry {shown(name)} has an unreadable ZIP64 field")
            found = body
        position += 4 + size
    if found is None or len(found) < 8 * needed:
        raise damaged(f"the entry {shown(name)} lacks the ZIP64 sizes it refers to")
    return struct.unpack_from(f"<{needed}Q", found)


def damaged(what: str) -> InvalidDataset:
    """The archive contradicts itself."""
    return InvalidDataset(
        f"The ZIP archive is damaged: {what}. Make the archive again and upload it.",
        code="archive_corrupt",
    )


def _find_end(source: ByteSource) -> tuple[int, tuple[int, ...]]:
    fitting, seen = _end_records(source)
    if len(fitting) > 1:
        raise InvalidDataset(
            "The archive has two end records, so two tools could read two different archives. "
            "Make it again without a comment.",
            code="ambiguous_archive",
        )
    if fitting:
        return fitting[0]
    if seen:
        # What follows the end would be seen by a tool that reads from the front and not by one
        # that reads from the back: such a file is two things at once, or a damaged upload.
        raise InvalidDataset(
            "Data follows the end of the ZIP archive, or its end record is cut off. Make the "
            "archive again and upload it.",
            code="trailing_data",
        )
    raise truncated(source.size)


def _end_records(source: ByteSource) -> tuple[list[tuple[int, tuple[int, ...]]], bool]:
    """End records whose comment ends with the file, and whether anything looked like one."""
    tail_offset = max(0, source.size - _END.size - _MAX_COMMENT_BYTES)
    tail = source.at(tail_offset, source.size - tail_offset)
    fitting: list[tuple[int, tuple[int, ...]]] = []
    position = tail.find(END_MAGIC)
    seen = position >= 0
    while position >= 0:
        if position + _END.size <= len(tail):
            fields = _END.unpack_from(tail, position)
            if position + _END.size + fields[7] == len(tail):
                fitting.append((tail_offset + position, fields))
        position = tail.find(END_MAGIC, position + 1)
    return fitting, seen


def _read_end64(source: ByteSource, locator: bytes, end_offset: int) -> tuple[int, tuple[int, ...]]:
    _, _, offset, disks = _END64_LOCATOR.unpack(locator)
    record = source.at(offset, _END64.size) if offset < end_offset else b""
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06") or disks > 1:
        raise damaged("its ZIP64 end record is not where the locator says")
    fields = _END64.unpack(record)
    if offset + 12 + fields[1] != end_offset - _END64_LOCATOR.size:
        raise damaged("its ZIP64 end record has the wrong size")
    return offset, fields


def _parse(buffer: bytes, start: int) -> DirectoryEntry:
    fields = _HEADER.unpack_from(buffer, start)
    magic, made_by, _, flags, method, _, _, crc32, stored_size, size = fields[:10]
    name_size, extra_size, _, disk, _, attributes, header_offset = fields[10:]
    if magic != b"PK\x01\x02":
        raise damaged("a record of its directory does not start as one")
    name_end = start + _HEADER.size + name_size
    raw_name = buffer[start + _HEADER.size : name_end]
    name = _decode(raw_name, flags)
    extra = buffer[name_end : name_end + extra_size]
    _check_unicode_name(extra, name)
    needed = [value == _ABSENT_32 for value in (size, stored_size, header_offset)]
    if any(needed):
        wide = iter(zip64_values(extra, sum(needed), name))
        size = next(wide) if needed[0] else size
        stored_size = next(wide) if needed[1] else stored_size
        header_offset = next(wide) if needed[2] else header_offset
    if disk not in (0, _ABSENT_16):
        raise damaged(f"the entry {shown(name)} is said to be on another disk")
    # The upper half is a Unix mode when the maker was one; others leave it zero.
    unix_mode = attributes >> 16 if made_by >> 8 in (3, 19) else 0
    return DirectoryEntry(
        *(raw_name, name, flags, method, crc32, stored_size, size, header_offset, unix_mode)
    )


def _check_unicode_name(extra: bytes, name: str) -> None:
    """Some tools believe a second name in the extra field (4.6.9): it must be the same."""
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        second = extra[position + 9 : position + 4 + size]
        if kind == _UNICODE_NAME_FIELD and second != name.encode():
            raise InvalidDataset(
                f"The entry {shown(name)} has a second name, "
                f"{shown(second.decode('utf-8', 'backslashreplace'))}. Make the archive again with "
                "UTF-8 names.",
                code="header_mismatch",
            )
        position += 4 + size


def _decode(raw_name: bytes, flags: int) -> str:
    """UTF-8 where flagged (4.4.4); else UTF-8 where it is valid, as Finder writes; else cp437."""
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError as error:
        if not flags & _UTF8_FLAG:
            return raw_name.decode("cp437")
        raise InvalidDataset(
            f"The entry {shown(raw_name.decode('utf-8', 'backslashreplace'))} says its name is "
            "UTF-8 and it is not. Make the archive again.",
            code="name_encoding",
        ) from error
