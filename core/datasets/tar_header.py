"""One TAR header block, and the records of a pax extended header.

The old, ustar and GNU forms of the block, as POSIX.1-2017 `pax` and the GNU tar manual give
them; the fields that say who owned a file, and when, are of no use here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from core.datasets.names import shown
from core.errors import InvalidDataset

BLOCK_BYTES = 512
_CHECKSUM = slice(148, 156)


@dataclass(frozen=True, slots=True)
class Header:
    """What is needed of a header. `kind` is the type flag."""

    name: str
    size: int
    kind: bytes

    def replaced(self, name: bytes | None, size: int | None) -> Header:
        """The header with the name and size of the extended headers before it, if any."""
        if name is None and size is None:
            return self
        return dataclasses.replace(
            self,
            name=self.name if name is None else _decode(name),
            size=self.size if size is None else size,
        )


def is_header(block: bytes) -> bool:
    """Whether the block's checksum is right, which random bytes' is once in 100 000 times."""
    return len(block) == BLOCK_BYTES and any(block) and _checksum_fits(block)


def parse_header(block: bytes) -> Header:
    """Raises InvalidDataset for a block that is no header."""
    raw_name = block[:100].split(b"\0", 1)[0]
    if not _checksum_fits(block):
        raise damaged(
            f"where a header should be, after the last good entry, there is {raw_name[:32]!r}"
        )
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            raw_name = prefix + b"/" + raw_name
    kind = block[156:157]
    # Links and devices are refused by their kind; some writers leave nonsense in their size.
    size = _number(block[124:136], raw_name)
    return Header(_decode(raw_name), size, kind)


def parse_records(payload: bytes) -> dict[bytes, bytes]:
    """`LENGTH KEY=VALUE\\n` records. Raises InvalidDataset for a malformed or sparse one."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(payload):
        digits, space, _ = payload[position : position + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = payload[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if not equals or position + length > len(payload) or not value.endswith(b"\n"):
            raise damaged("an extended header is malformed")
        records[key] = value[:-1]
        position += length
    if any(key.startswith(b"GNU.sparse") for key in records):
        raise InvalidDataset(
            f"The archive holds a sparse file ({shown(_sparse_name(records))}). Make it again "
            "without tar's --sparse.",
            code="not_a_regular_file",
        )
    return records


def damaged(what: str) -> InvalidDataset:
    """The archive contradicts itself."""
    return InvalidDataset(
        f"The TAR archive is damaged: {what}. Make the archive again and upload it.",
        code="archive_corrupt",
    )


def _checksum_fits(block: bytes) -> bool:
    digits = block[_CHECKSUM].strip(b" \0")
    if not digits or not all(digit in b"01234567" for digit in digits):
        return False
    # Over the block with spaces in the checksum's place; bytes are unsigned (some old writers
    # took them as signed, and wrote no images).
    return int(digits, 8) == sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")


def _number(field: bytes, raw_name: bytes) -> int:
    if field[0] == 0x80:  # GNU's base 256, positive
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not all(digit in b"01234567" for digit in digits):
        raise damaged(f"the entry {shown(_decode(raw_name))} has the size {field!r}")
    return int(digits, 8) if digits else 0


def _decode(raw_name: bytes) -> str:
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDataset(
            f"The entry {shown(raw_name.decode('utf-8', 'backslashreplace'))} has a name that is "
            "not UTF-8. Make the archive again with UTF-8 names.",
            code="name_encoding",
        ) from error


def _sparse_name(records: dict[bytes, bytes]) -> str:
    name = records.get(b"GNU.sparse.name", records.get(b"path", b"unnamed"))
    return name.decode("utf-8", "backslashreplace")
