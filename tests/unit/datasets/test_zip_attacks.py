"""ZIP archives that lie, hide, explode or escape. One trick a test."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from core.datasets.archive import open_archive
from core.datasets.limits import Limits
from core.datasets.structure import inspect
from core.errors import InvalidDataset

from .conftest import Refused, Saver
from .crafted import (
    DEVICE_MODE,
    FIFO_MODE,
    FOLDER_MODE,
    LINK_MODE,
    Member,
    deflated,
    tar_bytes,
    tar_header,
    tar_member,
    zip_bytes,
)

GOOD = Member("cat/1.jpg")


class Pipe(io.BytesIO):
    """Cannot seek: `zipfile` then writes sizes after the data."""

    def tell(self) -> int:
        raise OSError

    seek = tell  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../etc/passwd", "path_traversal"),
        ("cat/../../1.jpg", "path_traversal"),
        ("/etc/passwd", "absolute_path"),
        ("C:/windows/1.jpg", "absolute_path"),
        ("cat\\1.jpg", "backslash"),
        ("..\\..\\1.jpg", "backslash"),
        ("cat/\x00evil.jpg", "control_character"),
        ("cat/a\nb.jpg", "control_character"),
        ("cat/\x1b[31m.jpg", "control_character"),
        ("cat/\x7f.jpg", "control_character"),
        ("cat/\u202egpj.exe", "control_character"),
        ("cat//1.jpg", "unnormalised_path"),
        ("cat/./1.jpg", "unnormalised_path"),
        ("", "empty_name"),
        ("/", "absolute_path"),
        ("a" * 300 + ".jpg", "name_too_long"),
        ("/".join(["folder"] * 200) + "/1.jpg", "name_too_long"),
    ],
)
def test_dangerous_name(refused: Refused, name: str, code: str) -> None:
    message = refused(zip_bytes([GOOD, Member(name)]), code)
    assert name == "" or repr(name)[1:8] in message or "\\u202e" in message
    assert not any(character in message for character in "\0\n\x1b\u202e")


def test_name_flagged_utf8_that_is_not(refused: Refused) -> None:
    refused(zip_bytes([Member(b"cat/\xff\xfe.jpg", flags=0x800)]), "name_encoding", "\\\\xff")


@pytest.mark.parametrize("name", ["a", "cat/1.jpg"])
def test_duplicate_name(refused: Refused, name: str) -> None:
    refused(zip_bytes([Member(name), Member(name, b"other")]), "duplicate_name", name)


def test_names_that_differ_by_case(refused: Refused) -> None:
    data = zip_bytes([Member("cat/A.jpg"), Member("cat/a.jpg")])
    refused(data, "case_collision", "cat/A.jpg", "cat/a.jpg")


def test_class_folders_that_differ_by_case(refused: Refused) -> None:
    data = zip_bytes([Member("Cat/1.jpg"), Member("cat/2.jpg")])
    refused(data, "case_collision", "'Cat'", "'cat'")


def test_names_that_differ_by_unicode_normalisation(refused: Refused) -> None:
    data = zip_bytes([Member("caf\u00e9/1.jpg"), Member("cafe\u0301/1.jpg")])
    refused(data, "unicode_collision", "\\xe9", "\\u0301")


def test_file_that_is_also_a_folder(refused: Refused) -> None:
    refused(zip_bytes([Member("cat"), Member("cat/1.jpg")]), "duplicate_name", "cat")
    refused(zip_bytes([Member("cat/1.jpg"), Member("cat")]), "duplicate_name", "cat")


def test_sharp_s_is_not_double_s(save: Saver, limits: Limits) -> None:
    with open_archive(save(zip_bytes([Member("Maße/1.jpg"), Member("Masse/1.jpg")])), limits) as a:
        assert len(a.entries) == 2


@pytest.mark.parametrize(
    ("mode", "what"), [(LINK_MODE, "link"), (FIFO_MODE, "pipe"), (DEVICE_MODE, "device")]
)
def test_link_and_device(refused: Refused, mode: int, what: str) -> None:
    data = zip_bytes([Member("cat/1.jpg", b"/etc/passwd", mode=mode)])
    refused(data, "not_a_regular_file", "cat/1.jpg", what)


@pytest.mark.parametrize("flag", [0x0001, 0x0040, 0x2000])
def test_encrypted_entry(refused: Refused, flag: int) -> None:
    refused(zip_bytes([Member("cat/1.jpg", flags=flag)]), "encrypted_entry", "cat/1.jpg")


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 95, 99])
def test_unknown_compression(refused: Refused, method: int) -> None:
    data = zip_bytes([Member("cat/1.jpg", method=method)])
    refused(data, "unsupported_compression", "cat/1.jpg", str(method))


def test_local_header_with_another_name(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", local_name=b"dog/1.jpg")])
    refused(data, "header_mismatch", "cat/1.jpg", "another name")


def test_local_header_with_another_size(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", local_size=2)])
    refused(data, "header_mismatch", "cat/1.jpg", "2 bytes")


def test_local_header_with_another_checksum(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", local_crc32=1)]), "header_mismatch", "00000001")


def test_local_header_with_another_method(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", local_method=8)]), "header_mismatch", "compression")


def test_overlapping_bomb(refused: Refused) -> None:
    """Many entries of one kernel of data (Fifield 2019): each quotes the next one's header."""
    data = b"\0" * 1000
    packed = deflated(data)
    second = zip_bytes([Member("cat/2.jpg", data, 8)])
    size = 30 + len("cat/2.jpg") + len(packed)
    first = Member("cat/1.jpg", second[:size], packed=second[:size])
    start = 30 + len("cat/1.jpg")
    inner = Member("cat/2.jpg", data, 8, packed=b"", stored_size=len(packed), offset=start)
    archive = zip_bytes([first, inner])
    # Drop the second local header that the builder wrote: the directory points into the first.
    body_end = start + size
    rest = archive[body_end + 30 + len("cat/2.jpg") :]
    shift = 30 + len("cat/2.jpg")
    end = bytearray(rest)
    offset = struct.unpack_from("<L", end, len(end) - 6)[0]
    struct.pack_into("<L", end, len(end) - 6, offset - shift)
    refused(archive[:body_end] + bytes(end), "overlapping_entries", "cat/1.jpg", "cat/2.jpg")


def test_entry_that_reaches_into_the_directory(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", b"x" * 60, packed=b"", stored_size=60)])
    refused(data, "overlapping_entries", "cat/1.jpg", "directory")


def test_two_entries_of_one_local_header(refused: Refused) -> None:
    twice = zip_bytes([Member("cat/1.jpg"), Member("cat/1.jpg", offset=0)])
    refused(twice, "duplicate_name", "cat/1.jpg")


def test_offset_outside_the_file(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", offset=1 << 31)]), "archive_corrupt", "cat/1.jpg")
    wide = struct.pack("<2HQ", 1, 8, (1 << 64) - 1)
    data = zip_bytes([Member("cat/1.jpg", offset=0xFFFFFFFF, extra=wide)])
    refused(data, "archive_corrupt", "cat/1.jpg")


@pytest.mark.parametrize("kept", [10, 30, 60, 120])
def test_truncated(refused: Refused, kept: int) -> None:
    refused(
        zip_bytes([GOOD, Member("dog/1.jpg", b"y" * 40)])[:kept], "archive_truncated", str(kept)
    )


def test_cut_in_the_end_record(refused: Refused) -> None:
    refused(zip_bytes([GOOD])[:-1], "trailing_data")


def test_trailing_data(refused: Refused) -> None:
    refused(zip_bytes([GOOD], after=b"and more"), "trailing_data")


def test_prepended_data(refused: Refused) -> None:
    refused(zip_bytes([GOOD], before=b"#!/bin/sh\nexit\n"), "prepended_data", "#!/bin/sh")


def test_archive_behind_an_archive(refused: Refused) -> None:
    """Two archives in one file: from the front one is seen, from the back the other."""
    refused(zip_bytes([GOOD]) + zip_bytes([Member("dog/1.jpg")]), "archive_corrupt", "directory")


def test_end_record_in_the_comment(refused: Refused) -> None:
    hidden = zip_bytes([])
    refused(zip_bytes([GOOD], comment=b"hello" + hidden), "ambiguous_archive")


def test_honest_comment(save: Saver, limits: Limits) -> None:
    with open_archive(save(zip_bytes([GOOD], comment=b"made by me")), limits) as archive:
        assert archive.read("cat/1.jpg") == b"x"


def test_declared_ratio_bomb(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", bytes(4 << 20), method=8)])
    refused(data, "compression_ratio", "cat/1.jpg", str(4 << 20))


def test_many_small_bombs(refused: Refused) -> None:
    packed = deflated(bytes(1 << 20))
    data = bytes(1 << 20)
    members = [Member(f"cat/{n}.jpg", data, 8, packed=packed) for n in range(70)]
    refused(zip_bytes(members), "compression_ratio", "The archive")


def test_real_bomb_behind_a_lying_header(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", method=8, packed=deflated(bytes(50 << 20)), size=50_000)])
    refused(data, "lying_header", "cat/1.jpg", "50000 bytes")


def test_entry_shorter_than_declared(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", b"abc", 8, size=5)])
    refused(data, "archive_corrupt", "cat/1.jpg", "5")


def test_entry_that_grows_when_compressed(refused: Refused) -> None:
    """Empty blocks without end: gigabytes would be read to make a few bytes."""
    packed = b"\x00\x00\x00\xff\xff" * 1000 + deflated(b"abc")
    data = zip_bytes([Member("cat/1.jpg", b"abc", 8, packed=packed)])
    refused(data, "archive_corrupt", "cat/1.jpg", str(len(packed)))


def test_stored_entry_with_two_sizes(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", b"abc", size=4)]), "archive_corrupt", "cat/1.jpg")


def test_wrong_checksum(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", crc32=7)]), "archive_corrupt", "cat/1.jpg", "00000007")


def test_damaged_deflate_data(refused: Refused) -> None:
    data = zip_bytes([Member("cat/1.jpg", method=8, packed=b"\xff\xff\xff")])
    refused(data, "archive_corrupt", "cat/1.jpg")


def test_entry_over_the_limit(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", b"12345")]), "entry_too_large", "5", max_image_bytes=4)


def test_archive_over_the_limit(refused: Refused) -> None:
    data = zip_bytes([Member("a.jpg", b"123"), Member("b.jpg", b"123")])
    refused(data, "archive_too_large", "b.jpg", "6", max_archive_bytes=5)


def test_file_over_the_limit(refused: Refused) -> None:
    refused(zip_bytes([GOOD]), "file_too_large", max_file_bytes=20)


def test_too_many_entries(refused: Refused) -> None:
    data = zip_bytes(Member(f"{n}.jpg") for n in range(5))
    refused(data, "too_many_entries", "5", "4", max_archive_entries=4)


def test_more_entries_than_declared(refused: Refused) -> None:
    refused(zip_bytes([GOOD, Member("dog/1.jpg")], count=1), "archive_corrupt", "more than the 1")


def test_fewer_entries_than_declared(refused: Refused) -> None:
    refused(zip_bytes([GOOD], count=9), "archive_corrupt", "after 1 of 9")


def test_garbage_in_the_directory(refused: Refused) -> None:
    refused(zip_bytes([GOOD], directory_tail=b"\xee" * 50), "archive_corrupt")


def test_multi_part_archive(refused: Refused) -> None:
    refused(zip_bytes([GOOD], disk=1), "multi_part_archive")
    refused(b"PK\x07\x08" + zip_bytes([GOOD]), "multi_part_archive")


@pytest.mark.parametrize("name", ["inner.zip", "INNER.TAR.GZ", "x.7z", "x.rar", "a/x.tgz"])
def test_nested_archive_by_extension(refused: Refused, name: str) -> None:
    refused(zip_bytes([Member(f"cat/{name}")]), "nested_archive", name)


@pytest.mark.parametrize(
    "start",
    [zip_bytes([GOOD]), b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"BZh91AY"],
)
def test_nested_archive_by_content(refused: Refused, start: bytes) -> None:
    refused(zip_bytes([Member("cat/1.jpg", start)]), "nested_archive", "cat/1.jpg")


def test_junk_is_left_out(save: Saver, limits: Limits) -> None:
    junk = ["__MACOSX/cat/._1.jpg", "cat/.DS_Store", "cat/Thumbs.db", "cat/._1.jpg", "desktop.ini"]
    data = zip_bytes([GOOD, *(Member(name) for name in junk)])
    with open_archive(save(data), limits) as archive:
        assert [entry.name for entry in archive.entries] == ["cat/1.jpg"]


def test_junk_may_not_escape(refused: Refused) -> None:
    refused(zip_bytes([GOOD, Member("__MACOSX/../../x")]), "path_traversal")


def test_only_junk_is_empty(refused: Refused) -> None:
    refused(zip_bytes([Member(".DS_Store")]), "archive_empty")


def test_empty_archive(refused: Refused) -> None:
    refused(zip_bytes([]), "archive_empty")


def test_folder_with_data(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/", b"data")]), "archive_corrupt", "cat")


def test_zip64_field_that_is_missing(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", size=0xFFFFFFFF)]), "archive_corrupt", "ZIP64")


def test_zip64_record_that_disagrees(refused: Refused) -> None:
    data = bytearray(zip_bytes([GOOD], zip64=True))
    struct.pack_into("<H", data, len(data) - 12, 7)  # the old record's count
    refused(bytes(data), "archive_corrupt", "disagree")


def test_zip64_record_elsewhere(refused: Refused) -> None:
    data = bytearray(zip_bytes([GOOD], zip64=True))
    locator = data.index(b"PK\x06\x07")
    data[locator + 8] ^= 1
    refused(bytes(data), "archive_corrupt", "locator")
    data = bytearray(zip_bytes([GOOD], zip64=True))
    data[data.index(b"PK\x06\x06") + 4] += 1
    refused(bytes(data), "archive_corrupt", "size")


@pytest.mark.parametrize(
    "extra", [struct.pack("<2H", 1, 8), struct.pack("<2HQ2HQ", 1, 8, 1, 1, 8, 2)]
)
def test_zip64_field_that_is_cut_or_doubled(refused: Refused, extra: bytes) -> None:
    member = Member("cat/1.jpg", offset=0xFFFFFFFF, extra=extra)
    refused(zip_bytes([member]), "archive_corrupt", "cat/1.jpg", "ZIP64")


def test_entry_on_another_disk(refused: Refused) -> None:
    refused(zip_bytes([Member("cat/1.jpg", disk=3)]), "archive_corrupt", "another disk")


def test_file_cut_after_it_was_opened(save: Saver, limits: Limits) -> None:
    path = save(zip_bytes([Member("cat/1.jpg", b"x" * 100)]))
    with open_archive(path, limits) as archive:
        os.truncate(path, 50)
        with pytest.raises(InvalidDataset) as caught:
            archive.read("cat/1.jpg")
    assert caught.value.code == "archive_truncated"


def test_zip64_is_read(save: Saver, limits: Limits) -> None:
    wide = struct.pack("<2H3Q", 1, 24, 1, 1, 0)
    member = Member(
        "cat/1.jpg",
        size=0xFFFFFFFF,
        stored_size=0xFFFFFFFF,
        offset=0xFFFFFFFF,
        extra=wide,
        local_extra=struct.pack("<2H2Q", 1, 16, 1, 1),
    )
    with open_archive(save(zip_bytes([member], zip64=True)), limits) as archive:
        assert archive.read("cat/1.jpg") == b"x"


def test_descriptor_that_lies_is_not_believed(save: Saver, limits: Limits) -> None:
    """A tool that reads from the front would end the first file early and see a second."""
    data = bytearray(zip_bytes([Member("cat/1.jpg", b"x" * 99, descriptor=True)]))
    at = data.index(b"PK\x07\x08")
    struct.pack_into("<3L", data, at + 4, 0, 3, 3)
    with open_archive(save(bytes(data)), limits) as archive:
        assert archive.read("cat/1.jpg") == b"x" * 99


def test_second_name_in_the_extra_field(refused: Refused, save: Saver, limits: Limits) -> None:
    """Info-ZIP's Unicode path (APPNOTE.TXT 4.6.9), which some tools believe and others do not."""

    def field(name: bytes) -> bytes:
        return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, 0) + name

    lying = Member("cat/1.jpg", extra=field(b"../../etc/passwd"))
    refused(zip_bytes([lying]), "header_mismatch", "etc/passwd")
    honest = Member("cat/1.jpg", extra=field(b"cat/1.jpg"))
    with open_archive(save(zip_bytes([honest])), limits) as archive:
        assert archive.read("cat/1.jpg") == b"x"


def test_zip_that_is_also_a_tar(refused: Refused, tmp_path: Path) -> None:
    """The first local header stands where a TAR has its first file's name."""
    header = bytearray(tar_header(b"", 0))
    local = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, zlib.crc32(b"x"), 1, 1, 9, 512 - 39
    )
    header[:39] = local + b"cat/1.jpg"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    member = Member("cat/1.jpg", local_extra=bytes(header[39:]))
    data = zip_bytes([member])
    assert data[:512] == bytes(header)
    path = tmp_path / "both"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["cat/1.jpg"]
    assert tarfile.is_tarfile(path)
    refused(data, "ambiguous_archive", "TAR")


@pytest.mark.parametrize("around", ["tar", "gzip", "zstandard"])
def test_other_archive_that_is_also_a_zip(refused: Refused, tmp_path: Path, around: str) -> None:
    """The ZIP lies inside, and its comment takes the rest of the file."""
    inside = b"#" + zip_bytes([Member("cat/1.jpg", b"seen from the end", offset=0)])
    if around == "tar":
        front, back = tar_header(b"dog/1.jpg", len(inside)), bytes(-len(inside) % 512 + 1024)
    elif around == "gzip":  # in the header's comment, RFC 1952, 2.3.1
        tar = gzip.compress(tar_bytes(tar_member("dog/1.jpg")))
        front, back = tar[:3] + b"\x04" + tar[4:10] + struct.pack("<H", len(inside)), tar[10:]
    else:  # in a frame that is skipped, RFC 8878, 3.1.2
        tar = bytes(pa.Codec("zstd").compress(tar_bytes(tar_member("dog/1.jpg")), asbytes=True))
        front, back = tar + b"\x50\x2a\x4d\x18" + struct.pack("<L", len(inside)), b""
    data = bytearray(front + inside + back)
    end = data.rindex(b"PK\x05\x06")
    struct.pack_into("<H", data, end + 20, len(back))
    path = tmp_path / "both"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("cat/1.jpg") == b"seen from the end"
    if around != "zstandard":
        with tarfile.open(path) as other:
            assert other.getnames() == ["dog/1.jpg"]
    refused(bytes(data), "ambiguous_archive", "ZIP")


def test_pickled_weights_are_no_data_set(save: Saver, limits: Limits) -> None:
    """A `.pt` file is a ZIP with a pickle in it (CVE-2025-32434, CVE-2026-24747)."""
    names = ("archive/data.pkl", "archive/version", "archive/data/0")
    path = save(zip_bytes([Member(name, b"\x80\x02}q\x00.") for name in names]))
    with pytest.raises(InvalidDataset) as caught:
        inspect(path, limits)
    assert caught.value.code == "no_images"


def test_descriptors_are_read(save: Saver, limits: Limits) -> None:
    """As Finder and every streaming writer make them."""
    members = [Member(f"cat/{n}.jpg", b"x" * 99, 8, descriptor=True) for n in range(3)]
    with open_archive(save(zip_bytes(members)), limits) as archive:
        assert dict(archive.iterate(["cat/2.jpg", "cat/0.jpg"])) == {
            "cat/0.jpg": b"x" * 99,
            "cat/2.jpg": b"x" * 99,
        }


def test_names_in_the_old_code_page(save: Saver, limits: Limits) -> None:
    members = [Member(b"caf\x82/1.jpg"), Member("猫/1.jpg", flags=0x800), Member("ü/1.jpg")]
    with open_archive(save(zip_bytes(members)), limits) as archive:
        assert [entry.name for entry in archive.entries] == ["café/1.jpg", "猫/1.jpg", "ü/1.jpg"]


def test_folder_by_its_mode(save: Saver, limits: Limits) -> None:
    data = zip_bytes([GOOD, Member("dog", b"", mode=FOLDER_MODE), Member("./", b"")])
    with open_archive(save(data), limits) as archive:
        assert archive.folders == ["dog"]


@pytest.mark.parametrize("unseekable", [False, True])
def test_agrees_with_zipfile(save: Saver, limits: Limits, unseekable: bool) -> None:
    draw = random.Random(1)
    files = {
        f"{'é' * (n % 3)}folder{n % 7}/{n}.png": draw.randbytes(draw.randrange(2000))
        for n in range(300)
    }
    out = Pipe() if unseekable else io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for n, (name, data) in enumerate(files.items()):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if n % 2 else zipfile.ZIP_STORED
            with writer.open(info, "w", force_zip64=n % 5 == 0) as member:
                member.write(data)
    with open_archive(save(out.getvalue()), limits) as archive:
        assert archive.format == "zip"
        assert dict(archive.iterate(files)) == files
        assert all(archive.read(name) == files[name] for name in list(files)[::50])
