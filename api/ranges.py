"""The part of an answer that a client asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_ONE_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*")


class RangeNotSatisfiable(Exception):
    """The range begins behind the end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end) of the one range asked for, `end` exclusive; None to send everything.

    Several ranges at once, another unit or what is no range at all are ignored, as 14.2 allows:
    answering thousands of ranges is an attack's work, and nobody else's need.
    """
    found = _ONE_RANGE.fullmatch(header) if header is not None and len(header) < 100 else None
    if found is None or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if first == "":
        length = int(last)
        if length == 0 or size == 0:
            raise RangeNotSatisfiable
        return max(0, size - length), size
    start = int(first)
    if last and int(last) < start:
        return None  # 14.1.1: invalid, so ignored
    if start >= size:
        raise RangeNotSatisfiable
    return start, min(int(last) + 1, size) if last else size
