"""One image of a checked dataset version: a row of its index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One readable image. `key` is its name in the archive."""

    key: str
    split: str
    class_name: str
    width: int
    height: int
    bytes: int
    pixel_digest: str
    group: str | None = None  # as groups.csv has it
