"""Every format that is read, and images that are broken, hostile or something else."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.images import LargeImage, UnreadableImage, decode, decode_about, pixel_digest
from core.datasets.limits import Limits

from .crafted import chunk, png_bytes, tiff_bytes

WIDTH, HEIGHT = 48, 32


def picture(mode: str = "RGB") -> Image.Image:
    """Smooth colours, so that lossy formats come close, and no symmetry."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    colours = np.stack([x * 5, y * 7, (x + y) * 3], axis=-1).astype(np.uint8)
    return Image.fromarray(colours).convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def close(image: Image.Image, expected: Image.Image, tolerance: float) -> bool:
    difference = np.abs(np.asarray(image, float) - np.asarray(expected, float))
    return image.size == expected.size and float(difference.mean()) <= tolerance


def unreadable(data: bytes, limits: Limits, code: str, *words: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode(data, limits)
    assert caught.value.code == code, caught.value.message
    for word in words:
        assert word in caught.value.message, caught.value.message


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats(limits: Limits, form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    image = decode(saved(picture(), form, **options), limits)
    assert image.mode == "RGB"
    assert pixel_digest(image) == pixel_digest(picture())


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100, "optimize": True}]
)
def test_jpeg(limits: Limits, options: dict[str, Any]) -> None:
    assert close(decode(saved(picture(), "JPEG", **options), limits), picture(), 8)


def test_grey_jpeg(limits: Limits) -> None:
    image = decode(saved(picture("L"), "JPEG", quality=95), limits)
    assert image.mode == "RGB"
    assert close(image, picture("L").convert("RGB"), 3)


def test_cmyk_jpeg(limits: Limits) -> None:
    """As print shops send: stored inverted, after Adobe."""
    data = saved(picture("CMYK"), "JPEG", quality=95)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert close(decode(data, limits), picture(), 8)


def test_multi_picture_jpeg(limits: Limits) -> None:
    """As telephones make: a JPEG with a second one for depth behind it."""
    data = saved(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert close(decode(data, limits), picture(), 8)


TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(limits: Limits, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    every_option: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    options = every_option.get(form, {})
    image = decode(saved(picture(), form, exif=exif, **options), limits)
    expected = Image.fromarray(np.ascontiguousarray(TURNS[orientation](np.asarray(picture()))))
    assert close(image, expected, 3 if form == "JPEG" else 0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("value", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\0"])
def test_broken_exif_is_no_reason(limits: Limits, value: bytes) -> None:
    data = saved(picture(), "JPEG", exif=value)
    assert decode(data, limits).size == (WIDTH, HEIGHT)


def test_broken_exif_in_a_text_chunk(limits: Limits) -> None:
    text = chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  4\nnot hexadecimal\n")
    assert decode(png_bytes(extra=text), limits).size == (2, 2)


def test_orientation_that_is_none(limits: Limits) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(saved(picture(), "PNG", exif=exif), limits).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "1", "L"])
def test_modes_as_open_clip_converts_them(limits: Limits, mode: str) -> None:
    source = picture("L").convert("LA") if mode == "LA" else picture(mode)
    if mode in ("LA", "RGBA"):
        source.putalpha(Image.linear_gradient("L").resize(source.size))
    data = saved(source, "PNG")
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert pixel_digest(decode(data, limits)) == pixel_digest(expected)


def test_palette_with_transparency(limits: Limits) -> None:
    source = picture().quantize(16)
    data = saved(source, "PNG", transparency=bytes(range(0, 256, 16)))
    assert "transparency" in Image.open(io.BytesIO(data)).info
    assert pixel_digest(decode(data, limits)) == pixel_digest(source.convert("RGB"))


def test_alpha_is_dropped_not_composited(limits: Limits) -> None:
    invisible_red = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert decode(saved(invisible_red, "PNG"), limits).getpixel((0, 0)) == (255, 0, 0)


GREYS = np.array([[0, 255, 256, 0x1234], [0x7FFF, 0x8000, 0xFF00, 0xFFFF]], dtype=np.uint16)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(limits: Limits, form: str) -> None:
    data = saved(Image.fromarray(GREYS), form)
    clipped = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert clipped[0, 2] == 255  # what Pillow alone makes of 1/256 grey
    grey = np.asarray(decode(data, limits))
    assert (grey == (GREYS >> 8)[..., None]).all()


def test_16_bit_grey_is_as_16_bit_colour(limits: Limits) -> None:
    """The same picture, saved as grey and as colour, has the same pixels."""
    rows = b"".join(
        b"\0" + b"".join(struct.pack(">H", value) * 3 for value in row) for row in GREYS.tolist()
    )
    colour = decode(png_bytes(4, 2, pixels=rows, depth=16), limits)
    assert pixel_digest(colour) == pixel_digest(
        decode(saved(Image.fromarray(GREYS), "PNG"), limits)
    )


def test_16_bit_tiff_of_other_makers(limits: Limits) -> None:
    little, big = GREYS.astype("<u2").tobytes(), GREYS.astype(">u2").tobytes()
    expected = (GREYS >> 8).astype(np.uint8)
    for data in (
        tiff_bytes(4, 2, little, {258: (3, 16)}),
        tiff_bytes(4, 2, big, {258: (3, 16)}, ">"),
    ):
        assert (np.asarray(decode(data, limits))[..., 0] == expected).all()
    white_is_zero = tiff_bytes(4, 2, little, {258: (3, 16), 262: (3, 0)})
    assert (np.asarray(decode(white_is_zero, limits))[..., 0] == 255 - expected).all()


def test_12_bit_tiff(limits: Limits) -> None:
    packed = bytes([0x00, 0x08, 0x00, 0xFF, 0xFF, 0xFF])  # 0x000, 0x800, 0xFFF, 0xFFF
    image = decode(tiff_bytes(4, 1, packed, {258: (3, 12)}), limits)
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0x80, 0xFF, 0xFF]


def test_32_bit_is_refused(limits: Limits) -> None:
    data = saved(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF")
    unreadable(data, limits, "unsupported_image_mode", "32-bit", "F")


def test_16_bit_colour_tiff(limits: Limits) -> None:
    """Three values of a tag lie outside its entry, which the plain builder has no room for."""
    pixels = struct.pack("<6H", 0xFFFF, 0x8000, 0, 0x1234, 0x5678, 0x9ABC)
    bits = struct.pack("<3H", 16, 16, 16)
    data = tiff_bytes(2, 1, pixels + bits, {258: (3, 8), 262: (3, 2), 277: (3, 3), 279: (4, 12)})
    entry = struct.pack("<2HL", 258, 3, 1)
    data = data.replace(entry + struct.pack("<L", 8), struct.pack("<2H2L", 258, 3, 3, 8 + 12))
    assert np.asarray(decode(data, limits))[0].tolist() == [[255, 128, 0], [0x12, 0x56, 0x9A]]


def test_animated_webp_is_its_first_frame(limits: Limits) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert decode(data, limits).getpixel((4, 4)) == (255, 0, 0)


def test_pages_of_a_tiff_and_frames_of_a_png(limits: Limits) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    for form in ("TIFF", "PNG"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        assert decode(data, limits).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("form", "word"),
    [("GIF", "GIF"), ("AVIF", "AVIF"), ("JPEG2000", "JPEG 2000"), ("PPM", "starts")],
)
def test_other_formats_are_refused(limits: Limits, form: str, word: str) -> None:
    unreadable(saved(picture(), form), limits, "unknown_image_format", word, "WEBP")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"<svg xmlns='...'/>", "SVG"),
        (b"  <!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript"),
        (b"x", "damaged"),
    ],
)
def test_something_else(limits: Limits, data: bytes, word: str) -> None:
    unreadable(data, limits, "unknown_image_format", word)


def test_empty_file(limits: Limits) -> None:
    unreadable(b"", limits, "empty_image", "0 bytes")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_truncated(limits: Limits, form: str) -> None:
    data = saved(picture(), form)
    with pytest.raises(UnreadableImage) as caught:
        decode(data[: len(data) * 2 // 3], limits)
    assert caught.value.code in ("unreadable_image", "unknown_image_format")
    assert "0x" not in caught.value.message  # no memory address: reports are compared


def test_damaged_png(limits: Limits) -> None:
    data = bytearray(saved(picture(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    unreadable(bytes(data), limits, "unreadable_image", "damaged")


def test_header_without_pixels(limits: Limits) -> None:
    unreadable(png_bytes(500, 500, pixels=b""), limits, "unreadable_image")


BMP_HEADER = (54, 0, 0, 54, 40, 40_000, 40_000, 1, 24, *[0] * 6)


@pytest.mark.parametrize(
    "data",
    [
        png_bytes(50_000, 50_000, pixels=b""),
        png_bytes(2**31 - 1, 2**31 - 1, pixels=b""),
        png_bytes(10_000, 5_001, pixels=b""),
        b"BM" + struct.pack("<L2HLL2l2H6L", *BMP_HEADER),
        tiff_bytes(60_000, 60_000, b"\0", {}),
    ],
)
def test_huge_declared_size_is_refused_unread(limits: Limits, data: bytes) -> None:
    unreadable(data, limits, "image_too_large", "pixels")


def test_huge_tile_of_a_small_tiff(limits: Limits) -> None:
    tile = {322: (4, 60_000), 323: (4, 60_000), 324: (4, 8), 325: (4, 10)}
    unreadable(tiff_bytes(10, 10, bytes(100), tile), limits, "image_too_large", "60000 x 60000")


def test_exactly_at_the_limit(limits: Limits) -> None:
    data = saved(picture(), "PNG")
    exact = dataclasses.replace(limits, max_image_pixels=WIDTH * HEIGHT)
    assert decode(data, exact).size == (WIDTH, HEIGHT)
    below = dataclasses.replace(limits, max_image_pixels=WIDTH * HEIGHT - 1)
    unreadable(data, below, "image_too_large", "48 x 32", "1535")


def test_more_than_is_wanted_at_once(limits: Limits) -> None:
    data = saved(picture(), "PNG")
    assert decode_about(data, limits, None, WIDTH * HEIGHT).tobytes() == picture().tobytes()
    for side in (None, 8):
        with pytest.raises(LargeImage):
            decode_about(data, limits, side, WIDTH * HEIGHT - 1)
    huge = png_bytes(2000, 2000, pixels=b"")  # no more than its header is read
    with pytest.raises(LargeImage):
        decode_about(huge, limits, None, 1_000_000)


def test_pillows_own_limit_is_left_alone(limits: Limits) -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = png_bytes(20_000, 20_000, pixels=b"")
    wide = dataclasses.replace(limits, max_image_pixels=10**9)
    unreadable(data, wide, "image_too_large", "Pillow")
    assert before == Image.MAX_IMAGE_PIXELS


def test_bomb_in_a_text_chunk(limits: Limits) -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(8 << 20)))
    unreadable(png_bytes(extra=bomb), limits, "unreadable_image", "too large")


def test_bomb_of_many_text_chunks(limits: Limits) -> None:
    one = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes((1 << 20) - 1)))
    unreadable(png_bytes(extra=one * 80), limits, "unreadable_image", "memory")


def test_bomb_in_a_colour_profile(limits: Limits) -> None:
    bomb = chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(8 << 20)))
    unreadable(png_bytes(extra=bomb), limits, "unreadable_image", "too large")


def test_pixels_beyond_the_declared_size(limits: Limits) -> None:
    data = png_bytes(2, 2, pixels=bytes(8 << 20))
    assert decode(data, limits).size == (2, 2)


def test_jpeg_of_endless_scans(limits: Limits) -> None:
    data = saved(picture(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    unreadable(data[:-2] + scan * 200 + data[-2:], limits, "image_too_large", "scans")


def test_file_over_the_limit(limits: Limits) -> None:
    data = saved(picture(), "PNG")
    small = dataclasses.replace(limits, max_image_bytes=len(data) - 1)
    unreadable(data, small, "image_too_large", str(len(data)))


def test_digest_is_of_size_and_pixels() -> None:
    flat = Image.new("RGB", (2, 8), "red")
    assert pixel_digest(flat) != pixel_digest(flat.transpose(Image.Transpose.ROTATE_90))
    assert pixel_digest(flat) == pixel_digest(Image.new("RGB", (2, 8), "red"))
    assert len(pixel_digest(flat)) == 64
