"""TAR archives, plain and gzipped, that lie, hide, explode or escape. One trick a test."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile

import pytest

from core.datasets.archive import open_archive
from core.datasets.limits import Limits
from core.errors import InvalidDataset

from .conftest import Refused, Saver
from .crafted import (
    Member,
    padded,
    pax_header,
    tar_bytes,
    tar_header,
    tar_member,
    zip_bytes,
)

GOOD = tar_member("cat/1.jpg")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../etc/passwd", "path_traversal"),
        ("/etc/passwd", "absolute_path"),
        ("C:/windows/1.jpg", "absolute_path"),
        ("cat\\1.jpg", "backslash"),
        ("cat/a\nb.jpg", "control_character"),
        ("cat//1.jpg", "unnormalised_path"),
    ],
)
def test_dangerous_name(refused: Refused, name: str, code: str) -> None:
    message = refused(tar_bytes(GOOD, tar_member(name)), code)
    assert repr(name)[1:8] in message


def test_dangerous_name_in_an_extended_header(refused: Refused) -> None:
    path = pax_header({b"path": b"../../etc/passwd"})
    refused(tar_bytes(path, GOOD), "path_traversal", "etc/passwd")


def test_nul_in_an_extended_name(refused: Refused) -> None:
    refused(tar_bytes(pax_header({b"path": b"cat/1.jpg\0.exe"}), GOOD), "control_character")


def test_dangerous_name_in_a_gnu_long_name(refused: Refused) -> None:
    long_name = tar_member("././@LongLink", b"/etc/passwd\0", kind=b"L")
    refused(tar_bytes(long_name, GOOD), "absolute_path", "/etc/passwd")


def test_dangerous_prefix(refused: Refused) -> None:
    member = tar_member("1.jpg", prefix=b"../..")
    refused(tar_bytes(member), "path_traversal", "../../1.jpg")


def test_name_that_is_not_utf8(refused: Refused) -> None:
    refused(tar_bytes(tar_member(b"caf\xe9/1.jpg")), "name_encoding", "caf")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        *((b"1", "hard link"), (b"2", "symbolic link"), (b"3", "character"), (b"4", "block")),
        *((b"6", "pipe"), (b"S", "sparse"), (b"M", "type"), (b"Z", "type")),
    ],
)
def test_link_and_device(refused: Refused, kind: bytes, what: str) -> None:
    member = tar_header(b"cat/2.jpg", 0, kind, link=b"/etc/passwd")
    refused(tar_bytes(GOOD, member), "not_a_regular_file", "cat/2.jpg", what)


def test_write_through_a_link(refused: Refused) -> None:
    """CVE-2025-4517 and its kin: a link, then a file below it."""
    link = tar_header(b"cat", 0, b"2", link=b"/tmp")
    refused(tar_bytes(link, GOOD), "not_a_regular_file", "'cat'")


def test_sparse_file_in_an_extended_header(refused: Refused) -> None:
    sparse = pax_header({b"GNU.sparse.major": b"1", b"GNU.sparse.name": b"cat/big.jpg"})
    refused(tar_bytes(sparse, GOOD), "not_a_regular_file", "cat/big.jpg")


def test_duplicate_name(refused: Refused) -> None:
    refused(tar_bytes(GOOD, tar_member("./cat/1.jpg", b"other")), "duplicate_name", "cat/1.jpg")


def test_colliding_names(refused: Refused) -> None:
    refused(tar_bytes(GOOD, tar_member("CAT/2.jpg")), "case_collision", "'CAT'")
    composed, decomposed = tar_member("\u00e9/1.jpg"), tar_member("e\u0301/1.jpg")
    refused(tar_bytes(composed, decomposed), "unicode_collision")


@pytest.mark.parametrize("kept", [100, 511, 600, 1024, 1100, 2048])
def test_truncated(refused: Refused, kept: int) -> None:
    data = tar_bytes(GOOD, tar_member("cat/2.jpg"))[:kept]
    refused(data, "archive_truncated" if kept > 300 else "not_an_archive")


def test_damaged_header_is_not_the_end(refused: Refused) -> None:
    """`tarfile` would stop here without a word, and half the data set would be missing."""
    broken = bytearray(tar_member("cat/2.jpg"))
    broken[3] ^= 1
    data = tar_bytes(GOOD, bytes(broken), tar_member("cat/3.jpg"))
    with tarfile.open(fileobj=io.BytesIO(data)) as lenient:
        assert lenient.getnames() == ["cat/1.jpg"]
    refused(data, "archive_corrupt", "cat.2.jpg")


def test_archive_behind_an_archive(refused: Refused) -> None:
    refused(tar_bytes(GOOD) + tar_bytes(tar_member("dog/1.jpg")), "trailing_data")
    refused(tar_bytes(GOOD) + zip_bytes([Member("dog/1.jpg")]), "ambiguous_archive")
    refused(tar_bytes(GOOD) + zip_bytes([Member("dog/1.jpg")], after=b"x"), "trailing_data")


def test_padding_to_a_tape_record(save: Saver, limits: Limits) -> None:
    with open_archive(save(tar_bytes(GOOD, end=bytes(10240))), limits) as archive:
        assert archive.read("cat/1.jpg") == b"x"


@pytest.mark.parametrize("field", [b"-0000000001\0", b"\xff" * 12, b"99999999999\0", b"7x\0"])
def test_size_that_is_no_size(refused: Refused, field: bytes) -> None:
    """CVE-2025-8194: a negative size sends `tarfile` round in circles."""
    member = tar_header(b"cat/2.jpg", size_field=field)
    refused(tar_bytes(GOOD, member), "archive_corrupt", "cat/2.jpg")


def test_enormous_size(refused: Refused) -> None:
    member = tar_header(b"cat/2.jpg", size_field=b"\x80" + b"\xff" * 11)
    refused(tar_bytes(GOOD, member), "entry_too_large", "cat/2.jpg")
    refused(tar_bytes(pax_header({b"size": b"9" * 18}), GOOD), "entry_too_large", "cat/1.jpg")
    refused(tar_bytes(pax_header({b"size": b"-5"}), GOOD), "archive_corrupt", "-5")


def test_size_of_an_extended_header_counts(save: Saver, limits: Limits) -> None:
    """CVE-2025-62518: whoever believes the header's own size (0) takes the content for headers."""
    hidden = tar_member("dog/1.jpg", b"smuggled")
    member = pax_header({b"size": b"%d" % len(hidden)}) + tar_header(b"cat/1.bin", 0) + hidden
    with open_archive(save(tar_bytes(member, GOOD)), limits) as archive:
        assert [entry.name for entry in archive.entries] == ["cat/1.bin", "cat/1.jpg"]
        with pytest.raises(InvalidDataset) as caught:  # a TAR in the TAR, by its content
            archive.read("cat/1.bin")
    assert caught.value.code == "nested_archive"


def test_enormous_extended_header(refused: Refused) -> None:
    """`tarfile` reads it into memory whole, whatever size it declares."""
    header = tar_header(b"PaxHeader", 7 << 30, b"x")
    refused(tar_bytes(header, GOOD), "extended_header_too_large", str(7 << 30))


def test_extended_header_cut_off(refused: Refused) -> None:
    refused(tar_header(b"PaxHeader", 900, b"x") + bytes(512), "archive_truncated")


def test_file_cut_after_it_was_opened(save: Saver, limits: Limits) -> None:
    path = save(tar_bytes(tar_member("cat/1.jpg", b"x" * 1000)))
    with open_archive(path, limits) as archive:
        os.truncate(path, 600)
        with pytest.raises(InvalidDataset) as caught:
            archive.read("cat/1.jpg")
    assert caught.value.code == "archive_truncated"


def test_chain_of_extended_headers(refused: Refused) -> None:
    """`tarfile` recurses once for each."""
    chain = [pax_header({b"comment": b"x"})] * 2000
    refused(tar_bytes(*chain, GOOD), "extended_header_too_large")


@pytest.mark.parametrize(
    "payload", [b"9999 path=x\n", b"0 path=x\n", b"path=x\n", b"9 pathx\n\n", b"\xff\xff"]
)
def test_malformed_extended_header(refused: Refused, payload: bytes) -> None:
    header = tar_header(b"PaxHeader", len(payload), b"x") + padded(payload)
    refused(tar_bytes(header, GOOD), "archive_corrupt", "extended")


def test_global_path(refused: Refused) -> None:
    refused(tar_bytes(pax_header({b"path": b"dog/1.jpg"}, b"g"), GOOD), "archive_corrupt")


def test_global_comment_as_git_writes(save: Saver, limits: Limits) -> None:
    comment = pax_header({b"comment": b"0" * 40}, b"g")
    with open_archive(save(tar_bytes(comment, GOOD)), limits) as archive:
        assert [entry.name for entry in archive.entries] == ["cat/1.jpg"]


def test_extended_header_of_nothing(refused: Refused) -> None:
    refused(tar_bytes(GOOD, pax_header({b"path": b"dog/1.jpg"})), "archive_corrupt", "no entry")


def test_folder_with_data(refused: Refused) -> None:
    refused(tar_bytes(GOOD, tar_member("dog/", b"data", kind=b"5")), "archive_corrupt", "dog")


def test_nested_archive(refused: Refused) -> None:
    refused(tar_bytes(tar_member("cat/more.tar")), "nested_archive", "cat/more.tar")
    refused(tar_bytes(tar_member("cat/2.jpg", tar_bytes(GOOD))), "nested_archive", "cat/2.jpg")


def test_too_many_entries(refused: Refused) -> None:
    data = tar_bytes(*(tar_member(f"cat/{n}.jpg") for n in range(3)))
    refused(data, "too_many_entries", "cat/2.jpg", max_archive_entries=2)


def test_archive_over_the_limit(refused: Refused) -> None:
    data = tar_bytes(GOOD, tar_member("cat/2.jpg", b"123"))
    refused(data, "archive_too_large", "cat/2.jpg", max_archive_bytes=3)


def test_empty_archive(refused: Refused) -> None:
    refused(bytes(10240), "archive_empty")
    refused(gzip.compress(bytes(10240)), "archive_empty")
    refused(b"", "archive_empty")


def test_gzip_bomb(refused: Refused) -> None:
    member = tar_header(b"cat/1.jpg", 60 << 20) + bytes(60 << 20)
    data = gzip.compress(tar_bytes(member, tar_member("cat/2.jpg", bytes(8 << 20))), 1)
    refused(data, "compression_ratio", "200")


def test_gzip_bomb_behind_the_end(refused: Refused) -> None:
    """Zeros after the end of the archive are counted too."""
    data = gzip.compress(tar_bytes(GOOD, end=bytes(80 << 20)), 1)
    refused(data, "compression_ratio")


def test_gzip_over_the_limit(refused: Refused) -> None:
    data = gzip.compress(tar_bytes(GOOD, end=bytes(1 << 20)))
    refused(data, "archive_too_large", max_archive_bytes=1 << 19)


def test_gzip_cut_off(refused: Refused) -> None:
    data = gzip.compress(tar_bytes(tar_member("cat/1.jpg", random.Random(2).randbytes(50_000))))
    for kept in (30, 600, 20_000, len(data) - 8, len(data) - 1):
        refused(data[:kept], "archive_truncated", str(kept))


def test_gzip_damaged(refused: Refused) -> None:
    data = bytearray(gzip.compress(tar_bytes(tar_member("cat/1.jpg", bytes(range(256)) * 40))))
    data[-5] ^= 1  # the checksum of the content
    refused(bytes(data), "archive_corrupt", "byte")


def test_data_behind_gzip(refused: Refused) -> None:
    refused(gzip.compress(tar_bytes(GOOD)) + b"and more", "trailing_data")
    refused(gzip.compress(tar_bytes(GOOD)) + bytes(9) + b"\x1f", "trailing_data")


def test_gzip_of_something_else(refused: Refused) -> None:
    refused(gzip.compress(b"some text"), "not_an_archive", "some text")
    refused(gzip.compress(zip_bytes([Member("cat/1.jpg")])), "not_an_archive", "PK")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"BZh91AY" + bytes(600), "bzip2"),
        (b"Rar!\x1a\x07\x00" + bytes(600), "RAR"),
        (b"\xff\xd8\xff\xe0" + bytes(600), "single JPEG"),
        (b"hello", "hello"),
    ],
)
def test_not_an_archive(refused: Refused, data: bytes, word: str) -> None:
    refused(data, "not_an_archive", word)


def test_gzip_of_several_members_and_padding(save: Saver, limits: Limits) -> None:
    data = tar_bytes(GOOD, tar_member("cat/2.jpg", bytes(range(256)) * 10))
    parts = b"".join(gzip.compress(data[start : start + 700]) for start in range(0, len(data), 700))
    with open_archive(save(parts + bytes(512)), limits) as archive:
        assert archive.read("cat/2.jpg") == bytes(range(256)) * 10


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("gzipped", [False, True])
def test_agrees_with_tarfile(save: Saver, limits: Limits, form: int, gzipped: bool) -> None:
    draw = random.Random(form)
    files = {
        f"./{'long-' * (n % 20)}{'é' if n % 2 else ''}{n % 5}/{n}.png": draw.randbytes(
            draw.choice((0, 1, 511, 512, 513, 70_000))
        )
        for n in range(60)
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gzipped else "w", format=form) as writer:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        writer.addfile(folder)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5  # makes a pax header where there can be one
            writer.addfile(info, io.BytesIO(data))
    with open_archive(save(out.getvalue()), limits) as archive:
        assert archive.format == ("tar.gz" if gzipped else "tar")
        read = dict(archive.iterate([entry.name for entry in archive.entries]))
        assert {f"./{name}": data for name, data in read.items()} == files
        some = [name.removeprefix("./") for name in list(files)[::17]]
        assert [name for name, _ in archive.iterate(reversed(some))] == some
        assert archive.read(some[1]) == files[f"./{some[1]}"]
        with pytest.raises(KeyError):
            archive.read("absent")
