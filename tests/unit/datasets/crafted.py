"""Archives and images written byte by byte, with none of our code: what attackers can send.

ZIP after APPNOTE.TXT 6.3.10, TAR after POSIX.1-2017 `pax`, PNG after RFC 2083. Every field can be
set to a lie.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

UNIX = 3 << 8 | 20
LINK_MODE, FIFO_MODE, DEVICE_MODE, FOLDER_MODE = 0o120777, 0o010644, 0o060644, 0o040755


@dataclass
class Member:
    """A file of a ZIP. What is left None is true."""

    name: str | bytes
    data: bytes = b"x"
    method: int = 0
    flags: int = 0
    mode: int = 0
    size: int | None = None
    stored_size: int | None = None
    crc32: int | None = None
    packed: bytes | None = None  # bytes in the archive
    extra: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_size: int | None = None
    local_crc32: int | None = None
    local_extra: bytes = b""
    offset: int | None = None
    descriptor: bool = False
    disk: int = 0

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    @property
    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def zip_bytes(
    members: Iterable[Member],
    *,
    before: bytes = b"",
    between: bytes = b"",
    comment: bytes = b"",
    after: bytes = b"",
    count: int | None = None,
    directory_offset: int | None = None,
    directory_size: int | None = None,
    disk: int = 0,
    zip64: bool = False,
    directory_tail: bytes = b"",
) -> bytes:
    """`before` shifts nothing: the offsets stay those of the archive alone, as when prepended."""
    body, directory, number = b"", b"", 0
    for member in members:
        number += 1
        true_crc = zlib.crc32(member.data)
        crc = true_crc if member.crc32 is None else member.crc32
        size = len(member.data) if member.size is None else member.size
        stored = len(member.body) if member.stored_size is None else member.stored_size
        offset = len(body) if member.offset is None else member.offset
        flags = member.flags | (8 if member.descriptor else 0)
        local = (
            (0, 0, 0)
            if member.descriptor
            else (
                crc if member.local_crc32 is None else member.local_crc32,
                stored,
                size if member.local_size is None else member.local_size,
            )
        )
        local_name = member.raw_name if member.local_name is None else member.local_name
        local_method = member.method if member.local_method is None else member.local_method
        body += struct.pack(
            "<4s5H3L2H",
            *(b"PK\x03\x04", 20, flags, local_method, 0, 0x21, *local),
            *(len(local_name), len(member.local_extra)),
        )
        body += local_name + member.local_extra + member.body
        if member.descriptor:
            body += struct.pack("<4s3L", b"PK\x07\x08", crc, stored, size)
        body += between
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\x01\x02", UNIX, 20, flags, member.method, 0, 0x21, crc, stored, size),
            *(len(member.raw_name), len(member.extra), 0, member.disk, 0),
            *(member.mode << 16, offset),
        )
        directory += member.raw_name + member.extra
    directory += directory_tail
    number = number if count is None else count
    start = len(body) if directory_offset is None else directory_offset
    length = len(directory) if directory_size is None else directory_size
    end = b""
    if zip64:
        record = len(body) + len(directory)
        end = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, length, start
        )
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, record, 1)
        number, length, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    end += struct.pack(
        "<4s4H2LH", b"PK\x05\x06", disk, disk, number, number, length, start, len(comment)
    )
    return before + body + directory + end + comment + after


def tar_header(
    name: bytes,
    size: int = 0,
    kind: bytes = b"0",
    *,
    size_field: bytes | None = None,
    link: bytes = b"",
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
) -> bytes:
    field = b"%011o\0" % size if size_field is None else size_field
    block = bytearray(512)
    for start, value in (
        *((0, name[:100]), (100, b"0000644\0"), (124, field), (136, b"00000000000\0")),
        *((148, b" " * 8), (156, kind), (157, link), (257, magic), (345, prefix)),
    ):
        block[start : start + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_member(name: str | bytes, data: bytes = b"x", **options: object) -> bytes:
    raw = name.encode() if isinstance(name, str) else name
    return tar_header(raw, len(data), **options) + padded(data)  # type: ignore[arg-type]


def tar_bytes(*members: bytes, end: bytes = bytes(1024)) -> bytes:
    return b"".join(members) + end


def pax_header(records: dict[bytes, bytes], kind: bytes = b"x") -> bytes:
    payload = b"".join(pax_record(key, value) for key, value in records.items())
    return tar_header(b"PaxHeader", len(payload), kind) + padded(payload)


def pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png_bytes(
    width: int = 2,
    height: int = 2,
    *,
    extra: bytes = b"",
    pixels: bytes | None = None,
    depth: int = 8,
    colour: int = 2,
) -> bytes:
    """A PNG; `pixels` are raw scan lines with their filter bytes, `extra` goes before them."""
    rows = b"".join(b"\0" + bytes(width * 3) for _ in range(height)) if pixels is None else pixels
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">2L5B", width, height, depth, colour, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff_bytes(
    width: int, height: int, pixels: bytes, tags: dict[int, tuple[int, int]], order: str = "<"
) -> bytes:
    """One uncompressed strip; `tags` adds or replaces single values as tag: (type, value)."""
    entries: dict[int, tuple[int, int]] = {
        256: (3, width),
        257: (3, height),
        258: (3, 8),
        259: (3, 1),
        262: (3, 1),
        273: (4, 8),
        277: (3, 1),
        278: (3, height),
        279: (4, len(pixels)),
        **tags,
    }
    directory = struct.pack(f"{order}H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        directory += struct.pack(f"{order}2HL", tag, kind, 1)
        directory += struct.pack(
            f"{order}HH" if kind == 3 else f"{order}L", *([value, 0][: 5 - kind])
        )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}L", 8 + len(pixels)) + pixels + directory + bytes(4)
