"""Bytes a user sent -> an RGB image, or a sentence that says why not.

Pillow decodes, from an allow-list of formats, after the declared size was compared with the
limit. The result depends on the bytes alone: Pillow's global limits are neither read as policy
nor changed, so threads and other users of Pillow in the process are undisturbed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from PIL import (  # Named, so that Pillow does not load every decoder it has, from some thread.
    BmpImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)
from PIL.TiffImagePlugin import TiffImageFile

from core.datasets.image_kinds import FORMATS
from core.datasets.limits import Limits
from core.errors import InvalidDataset

# A progressive JPEG may have any number of scans, each a pass over all pixels for a few bytes of
# file. Encoders write about ten.
MAX_JPEG_SCANS = 100

_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 A
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF 6.0, section 8
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_WHITE_IS_ZERO = 0

# Formats that are not read, known by their first bytes: (offset, bytes, name).
_FOREIGN: Final = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftypheic", "a HEIC image"),
    (4, b"ftypmif1", "a HEIF image"),
    (4, b"ftypavif", "an AVIF image"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML document"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image it stands for"),
)


class UnreadableImage(InvalidDataset):
    """One image that cannot be decoded; the message says why, and the caller which one it is."""

    default_code = "unreadable_image"


class LargeImage(Exception):
    """An image of more pixels than the caller wants to spend its time on now."""


def decode(data: bytes, limits: Limits) -> Image.Image:
    """The first frame as an upright RGB image. Raises UnreadableImage.

    Alpha is dropped as `image.convert("RGB")` drops it, because that is open_clip's
    `_convert_to_rgb`: pixels must be those the base model would see. Two differences from it are
    meant: EXIF orientation is applied, and 16-bit grey is scaled where Pillow would clip nearly
    all of it to white.
    """
    return _decoded(data, limits, None, None)


def decode_about(
    data: bytes, limits: Limits, side: int | None, at_once: int | None = None
) -> Image.Image:
    """About what `decode` gives, for who makes it no more than `side` pixels high and wide: a
    JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves twice the side. Exactly that
    where no side is given.

    Its decoder then averages where the caller's filter would have. Raises UnreadableImage, and
    LargeImage for one of more than `at_once` pixels, having read no more than its header.
    """
    return _decoded(data, limits, side, at_once)


def preview(data: bytes, limits: Limits, side: int) -> tuple[Image.Image, int]:
    """About what `decode` gives, no longer than `side` pixels, for people to look at; and how
    many pixels were decoded for it: of a JPEG no more than it takes.

    Raises UnreadableImage.
    """
    image = _decoded(data, limits, side, None)
    decoded = image.width * image.height
    image.thumbnail((side, side))
    return image, decoded


def _decoded(data: bytes, limits: Limits, side: int | None, at_once: int | None) -> Image.Image:
    _check_bytes(data, limits)
    try:
        return _decode(data, limits, side, at_once)
    except (UnreadableImage, LargeImage):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(_why_unidentified(data), code="unknown_image_format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limit, met only where an operator sets ours above it.
        raise UnreadableImage(
            f"Pillow refuses its size: {error}", code="image_too_large"
        ) from error
    # Decoders of hostile bytes raise what they happen to (ValueError, SyntaxError, struct.error,
    # zlib.error, KeyError, ...); each means the same here.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UnreadableImage(f"It is damaged or cut off ({reason[:200]}).") from error


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 over the size and the RGB bytes: equal for equal pixels, whatever the file format."""
    digest = hashlib.sha256(f"{image.width}x{image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _check_bytes(data: bytes, limits: Limits) -> None:
    if not data:
        raise UnreadableImage("The file is empty (0 bytes).", code="empty_image")
    if len(data) > limits.max_image_bytes:
        raise UnreadableImage(
            f"It has {len(data)} bytes; the most is {limits.max_image_bytes}.",
            code="image_too_large",
        )


def _decode(data: bytes, limits: Limits, side: int | None, at_once: int | None) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_pixels(image, limits)
        if at_once is not None and image.width * image.height > at_once:
            raise LargeImage
        _check_scans(image, data)
        if side is not None:
            image.draft("RGB", (2 * side, 2 * side))
        image.load()
        tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
        turn = _TURNS.get(_orientation(image))
        upright: Image.Image = image
        if image.mode.startswith("I;16"):
            upright = _from_16_bits(image, tags)
        elif image.mode in ("I", "F"):
            raise UnreadableImage(
                f"It has 32-bit grey values (mode {image.mode}), whose range is unknown. Save it "
                "with 8 or 16 bits.",
                code="unsupported_image_mode",
            )
        # Alpha goes in any case; of a palette's, Pillow would warn first.
        upright.info.pop("transparency", None)
        upright = upright.convert("RGB")
        return upright if turn is None else upright.transpose(turn)


def _check_pixels(image: Image.Image, limits: Limits) -> None:
    """Before anything is decoded: the size is read from the header."""
    width, height = image.size
    if isinstance(image, TiffImageFile):
        # A tile is decoded whole, and may be declared larger than the image it is part of.
        tile_width, tile_height = image.tag_v2.get(_TILE_WIDTH), image.tag_v2.get(_TILE_LENGTH)
        if isinstance(tile_width, int) and isinstance(tile_height, int):
            width, height = max(width, tile_width), max(height, tile_height)
    if width * height > limits.max_image_pixels:
        raise UnreadableImage(
            f"It is {width} x {height}, {width * height} pixels; the most is "
            f"{limits.max_image_pixels}. Make it smaller.",
            code="image_too_large",
        )


def _check_scans(image: Image.Image, data: bytes) -> None:
    if image.format not in ("JPEG", "MPO"):
        return
    scans = data.count(b"\xff\xda")
    if scans > MAX_JPEG_SCANS:
        raise UnreadableImage(
            f"The JPEG has {scans} scans; the most is {MAX_JPEG_SCANS}. Save it again.",
            code="image_too_large",
        )


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 (upright) when the image says nothing or something unreadable."""
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # broken metadata does not make pixels unreadable
        return 1
    return value if isinstance(value, int) else 1


def _from_16_bits(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """The upper eight bits, as Pillow itself takes them of 16-bit colour."""
    values = np.asarray(image).astype(np.uint16)
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    grey = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # which Pillow turns for 8 bits and not for 16
        grey = 255 - grey
    return Image.fromarray(grey)


def _why_unidentified(data: bytes) -> str:
    start = data[:64].lstrip()
    for offset, magic, name in _FOREIGN:
        if (start if offset == 0 else data)[offset : offset + len(magic)] == magic:
            return f"It is {name}. Readable formats are {', '.join(FORMATS)}."
    return (
        f"It is no readable image (it starts {data[:16]!r}): damaged, or not one of "
        f"{', '.join(FORMATS)}."
    )
