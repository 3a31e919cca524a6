"""The object store on a directory: round trips, faults, and keys and links that lead out."""

from __future__ import annotations

import hashlib
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from core.errors import NotFound, StorageFault
from core.objects import PART_BYTES, ObjectStore, check_key
from core.settings import MIB, Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects with a space"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore.from_settings(Settings(object_store_url=folder.as_uri()))


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 20 * MIB])
def test_what_is_put_is_read(store: ObjectStore, size: int) -> None:
    data = os.urandom(size)
    chunks = (data[start : start + 100_000] for start in range(0, size, 100_000))
    stored = store.put_stream("files/a/b", chunks)
    assert (stored.key, stored.size) == ("files/a/b", size)
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    head = store.head("files/a/b")
    assert (head.size, head.etag) == (size, stored.etag)
    assert store.read_bytes("files/a/b") == data


def test_files_and_bytes_are_put(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    by_file, by_bytes = store.put_file("a", tmp_path / "x"), store.put_bytes("b", b"hello")
    assert by_file.sha256 == by_bytes.sha256
    assert store.read_bytes("a") == store.read_bytes("b") == b"hello"
    store.put_bytes("a", b"again")
    assert store.read_bytes("a") == b"again"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 4, b"0123"), (3, None, b"3456789"), (8, 99, b"89"), (5, 5, b""), (10, None, b"")],
)
def test_ranges_are_as_slices(
    store: ObjectStore, start: int, end: int | None, expected: bytes
) -> None:
    store.put_bytes("a", b"0123456789")
    assert b"".join(store.read("a", start, end)) == expected


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4)])
def test_a_range_that_is_none_is_refused(store: ObjectStore, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="range"):
        store.read("a", start, end)


def test_large_objects_pass_in_constant_memory(store: ObjectStore, tmp_path: Path) -> None:
    block = bytes(MIB)
    tracemalloc.start()
    store.put_stream("big", (block for _ in range(200)))
    store.download("big", tmp_path / "big")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "big").stat().st_size == 200 * MIB
    assert peak < 4 * PART_BYTES


def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("a/b", b"")
    for key in ("nothing", "a", "a/c"):
        assert not store.exists(key)
        for ask in (store.head, store.read, store.read_bytes):
            with pytest.raises(NotFound):
                ask(key)
    with pytest.raises(NotFound):
        store.download("nothing", tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []


def test_deleting_twice_is_deleting(store: ObjectStore) -> None:
    store.put_bytes("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")


def test_lists_go_by_whole_segments(store: ObjectStore) -> None:
    for key in ("jobs/1/a", "jobs/1/b/c", "jobs/10/a", "other"):
        store.put_bytes(key, b"x")
    for prefix in ("jobs/1", "jobs/1/"):
        assert sorted(item.key for item in store.list(prefix)) == ["jobs/1/a", "jobs/1/b/c"]
    assert list(store.list("nothing")) == []


def test_a_stream_that_fails_leaves_nothing(store: ObjectStore, folder: Path) -> None:
    def broken(good: int) -> Iterator[bytes]:
        yield from (bytes(MIB) for _ in range(good))
        raise ConnectionResetError("the client went away")

    for good in (1, 30):
        with pytest.raises(ConnectionResetError, match="went away"):
            store.put_stream("a", broken(good))
        assert not store.exists("a")
        assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_stream_that_fails_leaves_what_was_there(store: ObjectStore) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(2 * PART_BYTES)
        raise RuntimeError

    store.put_bytes("a", b"before")
    with pytest.raises(RuntimeError):
        store.put_stream("a", broken())
    assert store.read_bytes("a") == b"before"


def test_a_download_that_fails_leaves_what_was_there(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("a", b"new")
    target = tmp_path / "is a folder"
    target.mkdir()
    with pytest.raises(StorageFault, match="is a folder"):
        store.download("a", target)
    assert list(tmp_path.glob(".*")) == []
    store.download("a", tmp_path / "made" / "x")
    assert (tmp_path / "made" / "x").read_bytes() == b"new"


BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/./b",
    "a\x00b",
    "a\\b",
    "%2e%2e/x",
    "a/%2fb",
    "a b",
    "a\nb",
    "a#1",
    "ä",
    "a?b",
    "x" * 201,
    "/".join(["x" * 100] * 10),
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_we_would_not_make_are_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="object key"):
        check_key(key)
    calls: list[Callable[[], object]] = [
        lambda: store.put_bytes(key, b""),
        lambda: store.put_stream(key, []),
        lambda: store.head(key),
        lambda: store.read(key),
        lambda: store.download(key, tmp_path / "x"),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="object key"):
            call()


def test_keys_we_make_are_taken() -> None:
    for key in ("files/proj-1/0af", "jobs/ftjob-1/attempts/2/wise_ft@0.5.tar", "a/ft:x::1=+-_"):
        assert check_key(key) == key


def test_links_that_lead_out_are_not_followed(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    store.put_bytes("a/b", b"x")
    (folder / "link").symlink_to(outside)
    (folder / "a" / "file").symlink_to(outside / "secret")
    for key in ("link/secret", "a/file"):
        for ask in (store.head, store.read, store.exists, store.delete):
            with pytest.raises(StorageFault, match="symbolic link"):
                ask(key)
    with pytest.raises(StorageFault, match="symbolic link"):
        store.put_bytes("link/new", b"x")
    assert [item.key for item in store.list("a")] == ["a/b"]
    with pytest.raises(StorageFault, match="symbolic link"):
        list(store.list("link"))
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_the_store_itself_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    url = (tmp_path / "link").as_uri()
    store = ObjectStore.from_settings(Settings(object_store_url=url))
    store.put_bytes("a", b"x")
    assert store.read_bytes("a") == b"x"


def test_a_disk_that_refuses_is_a_storage_fault(store: ObjectStore) -> None:
    store.put_bytes("a", b"x")
    with pytest.raises(StorageFault, match="a/b"):
        store.put_bytes("a/b", b"x")  # `a` is a file, where a folder would have to be


@pytest.mark.parametrize("url", ["gs://bucket", "/just/a/path", "file://host/x", "s3://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="object_store_url"):
        ObjectStore.from_settings(Settings(object_store_url=url))


def test_an_s3_server_that_is_not_there_is_a_storage_fault() -> None:
    settings = Settings(
        object_store_url="s3://bucket/prefix",
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key_id="id",
        s3_secret_access_key="secret",
    )
    store = ObjectStore.from_settings(settings)
    with pytest.raises(StorageFault, match="object store") as fault:
        store.head("a")
    assert "secret" not in fault.value.message


def test_addresses_are_signed_for_where_clients_reach_the_store(store: ObjectStore) -> None:
    assert not store.can_sign
    with pytest.raises(ValueError, match="cannot sign"):
        store.sign_put("a/b", 60)
    inside: dict[str, Any] = {
        "object_store_url": "s3://bucket/prefix",
        "s3_endpoint": "http://store.inside:9000",
        "s3_access_key_id": "id",
        "s3_secret_access_key": SecretStr("secret"),
    }
    for outside in (None, "https://store.example"):
        s3 = ObjectStore.from_settings(Settings(**inside, s3_public_endpoint=outside))
        assert s3.can_sign
        url = urlsplit(s3.sign_put("a/b", 60))
        assert f"{url.scheme}://{url.netloc}" == (outside or inside["s3_endpoint"])
        assert url.path == "/bucket/prefix/a/b"
        assert "X-Amz-Expires=60" in url.query
        assert "secret" not in url.query
        with pytest.raises(ValueError, match="relative segment"):
            s3.sign_put("../b", 60)


def test_threads_share_a_store(store: ObjectStore) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            data = bytes([number]) * 300_000
            for _ in range(10):
                store.put_bytes(f"t/{number}", data)
                assert store.read_bytes(f"t/{number}") == data
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
