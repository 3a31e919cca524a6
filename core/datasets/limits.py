"""How much an archive may ask of us: the settings that this room needs, and nothing else.

A value of its own rather than `Settings`, so that a trainer, a test or a researcher can check an
archive without a service's configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a process that looks into one archive has no settings, and starts sooner
    from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; exceeding one is `TooLarge` (archives) or `UnreadableImage` (images)."""

    max_file_bytes: int
    max_archive_entries: int
    max_archive_bytes: int
    max_compression_ratio: float
    max_image_bytes: int
    max_image_pixels: int
    max_classes: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        return cls(
            max_file_bytes=settings.max_file_bytes,
            max_archive_entries=settings.max_archive_entries,
            max_archive_bytes=settings.max_archive_bytes,
            max_compression_ratio=settings.max_compression_ratio,
            max_image_bytes=settings.max_image_bytes,
            max_image_pixels=settings.max_image_pixels,
            max_classes=settings.max_classes,
        )
