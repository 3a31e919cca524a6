"""Thousands of archives that lie in ways nobody thought of: each is a structure or a sentence.

Never another exception, never more memory than a few times what the limits allow, never more than
a moment. The archives are put together by `crafted`, every field of which may be a lie, or are
honest ones of every format with bytes changed, cut out and cut off.
"""

from __future__ import annotations

import functools
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.datasets.check import check
from core.datasets.limits import Limits
from core.datasets.structure import inspect
from core.errors import ServiceError
from core.settings import Settings

from .conftest import read_all
from .crafted import Member, deflated, pax_header, tar_bytes, tar_header, tar_member, zip_bytes
from .test_check import ignore
from .test_labelled import SHARD, TABLE, as_tar_zst, parquet, rows
from .trees import as_tar, as_zip, tree

pytestmark = pytest.mark.slow
LIMITS = Limits.from_settings(Settings())
MEMORY_BYTES = 64 << 20  # an archive of a few kilobytes that takes more has won
SECONDS = 5.0  # of a processor, of which tracing takes most
BOMB = deflated(bytes(1 << 20))
many = functools.partial(
    settings, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def look(data: bytes, *, traced: bool = True) -> None:
    """All that the service ever does with an archive."""
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(data)
        if traced:
            tracemalloc.start()
        started = time.process_time()
        try:
            read_all(path, LIMITS)
            structure = inspect(path, LIMITS)
            check(path, structure, LIMITS, max_unreadable_fraction=1.0, progress=ignore)
            message = ""
        except ServiceError as error:
            message = error.message
        finally:
            seconds = time.process_time() - started
            peak = tracemalloc.get_traced_memory()[1] if traced else 0
            tracemalloc.stop()
    assert message.isprintable()
    assert len(message) < 1500
    assert peak < MEMORY_BYTES
    assert seconds < SECONDS


names = st.one_of(
    st.sampled_from(
        ["cat/1.jpg", "dog/2.jpg", "train/cat/3.png", "test/dog/4.png", "cat/", "1.jpg", "1.cls"]
    ),
    st.sampled_from(
        ["../x", "/x", "a\\b", "C:x", "a\0b", "./", "cat/1.JPG", "", "a//b", "metadata.csv"]
    ),
    st.text(max_size=12),
).map(lambda name: name.encode("utf-8", "surrogatepass"))
contents = st.one_of(
    st.just(b"x"),
    st.binary(max_size=200),
    st.integers(0, 1 << 17).map(bytes),
    st.sampled_from([b"PK\x03\x04", b"file_name,label\n1.jpg,cat\n", tar_bytes(tar_member("a"))]),
)
lies = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 31]),
    st.integers(0, 0xFFFFFFFF),
)


@st.composite
def zip_members(draw: st.DrawFn) -> Member:
    method = draw(st.sampled_from([0, 8, 8, 9, 99]))
    data = draw(contents)
    return Member(
        draw(names),
        data,
        method=method,
        flags=draw(st.sampled_from([0, 0, 0, 1, 8, 0x20, 0x40, 0x800, 0x2000, 0xFFFF])),
        mode=draw(st.sampled_from([0, 0, 0o100644, 0o120777, 0o040755, 0o010644, 0xFFFF])),
        size=draw(lies),
        stored_size=draw(lies),
        crc32=draw(lies),
        packed=draw(st.sampled_from([None, None, b"", BOMB, b"\xff\xff"])),
        extra=draw(st.one_of(st.just(b""), st.binary(max_size=40))),
        local_name=draw(st.one_of(st.none(), names)),
        local_method=draw(st.sampled_from([None, 0, 8])),
        local_size=draw(lies),
        local_crc32=draw(lies),
        local_extra=draw(st.one_of(st.just(b""), st.binary(max_size=40))),
        offset=draw(lies),
        descriptor=draw(st.booleans()),
        disk=draw(st.sampled_from([0, 0, 0, 1, 0xFFFF])),
    )


@many(max_examples=1500)
@given(
    st.lists(zip_members(), max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "before": st.binary(max_size=30),
            "between": st.binary(max_size=30),
            "comment": st.binary(max_size=40),
            "after": st.binary(max_size=30),
            "count": st.integers(0, 0xFFFF),
            "directory_offset": st.integers(0, 0xFFFFFFFF),
            "directory_size": st.integers(0, 0xFFFFFFFF),
            "disk": st.integers(0, 0xFFFF),
            "zip64": st.booleans(),
            "directory_tail": st.binary(max_size=60),
        },
    ),
)
def test_zip_that_lies(members: list[Member], options: dict[str, Any]) -> None:
    try:
        data = zip_bytes(members, **options)
    except Exception:  # numbers that no field takes
        return
    look(data)


fields = st.one_of(
    st.none(),
    st.binary(min_size=12, max_size=12),
    st.sampled_from([b"\x80" + b"\xff" * 11, b"77777777777\0", b"-0000000001\0", bytes(12)]),
)


@st.composite
def tar_pieces(draw: st.DrawFn) -> bytes:
    kind = draw(
        st.sampled_from(
            [b"0", b"0", b"\0", b"5", b"1", b"2", b"L", b"K", b"x", b"g", b"S", b"7", b"\xff"]
        )
    )
    if kind in b"xg" and draw(st.booleans()):
        keys = st.sampled_from([b"path", b"size", b"GNU.sparse.name", b"linkpath", b"comment"])
        return pax_header(draw(st.dictionaries(keys, st.binary(max_size=30), max_size=3)), kind)
    data = draw(contents)
    header = tar_header(
        draw(names),
        draw(st.sampled_from([len(data), len(data), 0, len(data) + 1, 1 << 30])),
        kind,
        size_field=draw(fields),
        prefix=draw(st.binary(max_size=20)),
        magic=draw(st.sampled_from([b"ustar\0", b"ustar  \0", b"", b"\xff" * 8])),
    )
    return (
        header + data + bytes(draw(st.sampled_from([-len(data) % 512, -len(data) % 512, 0, 100])))
    )


@many(max_examples=1500)
@given(
    st.lists(tar_pieces(), max_size=5),
    st.sampled_from(
        [bytes(1024), bytes(1024), bytes(512), b"", bytes(1024) + b"x", bytes(1 << 20)]
    ),
    st.sampled_from(["", "gzip", "zstd"]),
)
def test_tar_that_lies(pieces: list[bytes], end: bytes, codec: str) -> None:
    data = tar_bytes(*pieces, end=end)
    look(bytes(pa.Codec(codec).compress(data, asbytes=True)) if codec else data)


_FILES = tree("train/cat/1.png", "train/dog/2.png", "test/cat/3.png")
HONEST = [
    as_zip(_FILES, ("train",)),
    as_zip(TABLE),
    as_tar(_FILES, ("train",)),
    as_tar(_FILES, gzipped=True),
    as_tar(SHARD),
    as_tar(TABLE, gzipped=True),
    as_tar_zst(_FILES),
    as_tar_zst(SHARD),
]
PARQUET = [
    parquet(rows(20), pa.array(["a", "b"] * 10), row_group_size=5),
    parquet(rows(6), pa.array([0, 1] * 3), names=["x", "y"], compression="zstd"),
]
edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "insert", "delete", "repeat", "cut"]),
        st.integers(0, 1 << 20),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=5,
)


def edited(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    for what, position, value in changes:
        at = position % max(1, len(data))
        if what == "set":
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif what == "insert":
            data = data[:at] + bytes([value]) * (value + 1) + data[at:]
        elif what == "delete":
            data = data[:at] + data[at + value :]
        elif what == "repeat":
            data = data[:at] + data[at : at + 600] + data[at:]
        else:
            data = data[:at]
    return data


@many(max_examples=2000)
@given(st.sampled_from(HONEST), edits)
def test_archive_with_changes(data: bytes, changes: list[tuple[str, int, int]]) -> None:
    look(edited(data, changes))


@many(max_examples=500)
@given(st.sampled_from(PARQUET), edits)
def test_parquet_with_changes(data: bytes, changes: list[tuple[str, int, int]]) -> None:
    look(edited(data, changes))


@pytest.mark.parametrize("data", [*HONEST, *PARQUET])
def test_what_is_changed_was_accepted(data: bytes) -> None:
    """Else the tests above would show nothing."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        assert inspect(Path(file.name), LIMITS).total_images > 0
