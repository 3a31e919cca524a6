"""`groups.csv`: the group each image belongs to, for accuracy by group.

    file,group
    train/duck/00001.jpg,duck on water
    train/duck/00002.jpg,duck on land

`file` is an image's name in the archive, or below the folder that `groups.csv` lies in. Images
that are not mentioned have no group. What is given must be right to the letter: a row for a
misspelt file would leave its image without a group, and the worst group could be the one that
nobody sees.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator

from core.datasets.names import shown, unprintable
from core.errors import InvalidDataset, TooLarge

FILE_NAME = "groups.csv"
MAX_BYTES = 64 * 1024 * 1024
MAX_GROUPS = 1000
MAX_GROUP_CHARACTERS = 200
_COLUMNS = ("file", "group")


def check_size(size: int) -> None:
    """Before the file is read. Raises TooLarge."""
    if size > MAX_BYTES:
        raise TooLarge(
            f"{FILE_NAME} has {size} bytes; the most is {MAX_BYTES}. Split the data set.",
            code="groups_csv_too_large",
        )


def parse_groups(data: bytes, images: Collection[str], folder: str) -> dict[str, str]:
    """The group of each image that the file mentions, by the image's name in the archive.

    `images` are the archive's; `folder` is where the file lies, with a closing slash, or "".
    Raises InvalidDataset.
    """
    found: dict[str, str] = {}
    groups: set[str] = set()
    for line, file, group in _rows(data):
        name = file if file in images else folder + file
        if name not in images:
            raise _invalid(f"line {line} names {shown(file)}, which is no image of the archive")
        if name in found:
            raise _invalid(f"line {line} names {shown(file)} a second time")
        if group not in groups:
            _check_group(group, line)
            groups.add(group)
        if len(groups) > MAX_GROUPS:
            raise _invalid(f"it has more than {MAX_GROUPS} groups, the most accepted")
        found[name] = group
    return found


def _rows(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Line number, file and group of each row after the header; blank lines are passed over."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        file_at, group_at = _columns(header)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise _invalid(
                    f"line {reader.line_num} has {len(row)} fields where the header has "
                    f"{len(header)}; put a name with a comma in double quotes"
                )
            yield reader.line_num, row[file_at], row[group_at]
    except csv.Error as error:
        raise _invalid(f"line {reader.line_num} is not CSV ({error})") from error


def _columns(header: list[str]) -> tuple[int, int]:
    """Where `file` and `group` stand."""
    unknown = [name for name in header if name not in _COLUMNS]
    if unknown:
        raise _invalid(
            f"it has the column {shown(unknown[0])}; its first line names the columns, which are "
            f"{' and '.join(_COLUMNS)}"
        )
    if sorted(header) != sorted(_COLUMNS):
        raise _invalid(
            f"its first line is {shown(','.join(header))}; it must name the columns "
            f"{' and '.join(_COLUMNS)}, each once"
        )
    return header.index("file"), header.index("group")


def _check_group(group: str, line: int) -> None:
    if not group or len(group) > MAX_GROUP_CHARACTERS:
        raise _invalid(
            f"the group in line {line} is {shown(group)}, {len(group)} characters; 1 to "
            f"{MAX_GROUP_CHARACTERS} are accepted, and an image without a group is left out"
        )
    if group != group.strip():
        raise _invalid(f"the group in line {line}, {shown(group)}, starts or ends with a space")
    odd = unprintable(group)
    if odd is not None:
        raise _invalid(
            f"the group in line {line}, {shown(group)}, has the control character U+{ord(odd):04X}"
        )


def _invalid(what: str) -> InvalidDataset:
    return InvalidDataset(
        f"{FILE_NAME} cannot be used: {what}. Correct it, or leave it out.",
        code="invalid_groups_csv",
    )
