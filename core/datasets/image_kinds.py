"""What an image is by its first bytes, without Pillow."""

from __future__ import annotations

from typing import Final

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
HEAD_BYTES: Final = 16  # that say what it is

_STARTS: Final = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


def suffix_of(head: bytes) -> str | None:
    """The file name's extension of an image that starts so; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for start, suffix in _STARTS if head.startswith(start)), None)
