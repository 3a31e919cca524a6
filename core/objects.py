"""Object storage over obstore: a directory on this machine, or S3.

Keys are chosen by the service, never by a client; they are checked all the same, because a key
that leaves the store would read or write anybody's files. obstore's local store follows symbolic
links out of its directory, so for a directory each path is resolved before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from core.errors import NotFound, StorageFault
from core.settings import MIB, Settings

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore as Store

PART_BYTES = 8 * MIB  # of a multipart upload: S3 takes 10,000 of them, so 80 GB
PARTS_IN_FLIGHT = 2
READ_BYTES = MIB
MAX_KEY = 900  # characters; S3 takes 1024 with the store's own prefix
_SEGMENT = re.compile(r"[A-Za-z0-9._:@=+-]{1,200}")


@dataclass(frozen=True)
class StoredObject:
    """An object as it was stored."""

    key: str
    size: int
    sha256: str
    etag: str | None


@dataclass(frozen=True)
class ObjectHead:
    """What the store says of an object without reading it."""

    key: str
    size: int
    etag: str | None
    last_modified: float  # epoch seconds


def check_key(key: str) -> str:
    """The key, when it is one the service could have made. Raises ValueError."""
    segments = key.split("/")
    if len(key) > MAX_KEY or not all(_SEGMENT.fullmatch(part) for part in segments):
        raise ValueError(
            f"object key {key!r} is not 1 to {MAX_KEY} characters of segments of "
            "letters, digits and ._:@=+- between slashes"
        )
    if any(part in (".", "..") for part in segments):
        raise ValueError(f"object key {key!r} has a relative segment")
    return key


class ObjectStore:
    """A place for objects, made once per process. Faults are NotFound and StorageFault."""

    def __init__(
        self, store: Store, directory: Path | None = None, public: S3Store | None = None
    ) -> None:
        """`directory` is the store's own, when it is one on this machine; `public` the same store
        as clients reach it, when they can."""
        self._store = store
        self._public = public
        self._directory = directory.resolve() if directory is not None else None

    @classmethod
    def from_settings(cls, settings: Settings) -> ObjectStore:
        """The store the settings name. Raises ValueError for a URL of another kind."""
        url = settings.resolved_object_store_url
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            directory = Path(unquote(parts.path))
            return cls(LocalStore(directory, mkdir=True), directory)
        if parts.scheme == "s3" and parts.netloc:
            place = parts.netloc, parts.path.strip("/")
            outside = settings.s3_public_endpoint or settings.s3_endpoint
            public = _make_s3(settings, *place, endpoint=outside)
            return cls(_make_s3(settings, *place, endpoint=settings.s3_endpoint), public=public)
        raise ValueError(f"object_store_url is {url!r}; use file:///PATH or s3://BUCKET/PREFIX")

    @classmethod
    def of_bucket(cls, bucket: str, settings: Settings) -> ObjectStore:
        """A whole bucket on the settings' S3 server."""
        return cls(_make_s3(settings, bucket, "", endpoint=settings.s3_endpoint))

    def put_file(self, key: str, path: Path) -> StoredObject:
        """Stores a file."""
        with path.open("rb") as file:
            return self.put_stream(key, iter(lambda: file.read(READ_BYTES), b""))

    def take_file(self, key: str, path: Path, sha256: str) -> None:
        """Stores a file that its owner has no further use for: moved, where the store is a
        directory of the same disk, else copied.

        Raises StorageFault, and nothing is stored, when a copy has not that digest.
        """
        self._guard(key)
        if self._directory is not None:
            target = self._directory / key
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise StorageFault(
                        f"The object store failed on {key!r}: {error.strerror}."
                    ) from error
            else:
                return
        if self.put_file(key, path).sha256 != sha256:
            self.delete(key)
            raise StorageFault(f"{path.name} changed on its way to the store; try again.")

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        """Stores bytes."""
        self._guard(key)
        with _faults(key):
            result = obstore.put(self._store, key, data, use_multipart=False)
        return StoredObject(key, len(data), hashlib.sha256(data).hexdigest(), result["e_tag"])

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> StoredObject:
        """Stores what the chunks hold, in constant memory. When `chunks` raises, nothing is
        stored and what it raised is raised.
        """
        self._guard(key)
        source = _Hashed(chunks)
        beginning = source.take(PART_BYTES)
        if len(beginning) <= PART_BYTES and source.is_empty:
            return self.put_bytes(key, beginning)  # multipart uploads need a part that is not empty
        try:
            with _faults(key):
                result = obstore.put(
                    self._store,
                    key,
                    source.starting_with(beginning),
                    use_multipart=True,
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_IN_FLIGHT,
                )
        except StorageFault:
            if source.fault is not None:
                raise source.fault from None
            raise
        return StoredObject(key, source.size, source.digest.hexdigest(), result["e_tag"])

    @property
    def can_sign(self) -> bool:
        """Whether a client can be let write an object by itself."""
        return self._public is not None

    def sign_put(self, key: str, seconds: float) -> str:
        """An address at which anybody may PUT the object, once or often, for so many seconds.

        Nothing but the key is signed: what arrives there may be of any size and content. Raises
        ValueError where `can_sign` is False.
        """
        self._guard(key)
        if self._public is None:
            raise ValueError(f"this store cannot sign an address for {key!r}")
        with _faults(key):
            return obstore.sign(self._public, "PUT", key, timedelta(seconds=seconds))

    def head(self, key: str) -> ObjectHead:
        """What there is under the key. NotFound when nothing."""
        self._guard(key)
        with _faults(key):
            return _make_head(obstore.head(self._store, key))

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in chunks.

        NotFound is raised here and not at the first chunk. A range past the end is cut.
        """
        if start < 0 or (end is not None and end < start):
            raise ValueError(f"no range of bytes: from {start} to {end}")
        self._guard(key)
        if self._directory is not None:
            return _file_chunks(key, self._open(key), start, end)
        options: dict[str, Any] = {}
        if start or end is not None:
            size = self.head(key).size
            end = size if end is None else min(end, size)
            if start >= end:
                return iter(())
            options = {"range": (start, end)}
        with _faults(key):
            return _chunks(key, obstore.get(self._store, key, options=options))  # type: ignore[arg-type]

    def read_bytes(self, key: str) -> bytes:
        """The whole object, in memory."""
        return b"".join(self.read(key))

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine's disk; None when it lies elsewhere."""
        self._guard(key)
        return None if self._directory is None else self._directory / key

    def download(self, key: str, path: Path) -> None:
        """Writes the object to a file, which appears whole or not at all."""
        chunks = self.read(key)
        part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            os.replace(part, path)
        except OSError as error:
            raise StorageFault(f"{path} could not be written: {error.strerror}.") from error
        finally:
            with suppress(OSError):
                part.unlink()

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        try:
            self.head(key)
        except NotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        """Removes the object, if there is one."""
        self._guard(key)
        try:
            with _faults(key):
                obstore.delete(self._store, key)
        except NotFound:
            return

    def list(self, prefix: str) -> Iterator[ObjectHead]:
        """The objects whose keys lie under the prefix, which is whole segments: `a/b`."""
        prefix = prefix.rstrip("/")
        self._guard(prefix)
        with _faults(prefix):
            for batch in obstore.list(self._store, prefix):
                for meta in batch:
                    if self._is_inside(meta["path"]):
                        yield _make_head(meta)

    def _open(self, key: str) -> BinaryIO:
        """An object of a directory: read here, since obstore's runtime hands a file on at a tenth
        of the speed."""
        assert self._directory is not None
        path = self._directory / key
        with _faults(key):
            if path.is_dir():
                raise FileNotFoundError
            return path.open("rb", buffering=0)

    def _guard(self, key: str) -> None:
        check_key(key)
        if not self._is_inside(key):
            raise StorageFault(f"Object key {key!r} leads out of the store by a symbolic link.")

    def _is_inside(self, key: str) -> bool:
        if self._directory is None:
            return True
        return (self._directory / key).resolve().is_relative_to(self._directory)


class _Hashed:
    """Chunks on their way into the store: counted, hashed, and their own fault kept apart."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.size = 0
        self.digest = hashlib.sha256()
        self.fault: BaseException | None = None
        self.is_empty = False

    def take(self, size: int) -> bytes:
        """At least `size` bytes from the front, or all there are (`is_empty`)."""
        taken = bytearray()
        for chunk in self._chunks:
            taken += chunk
            if len(taken) > size:
                break
        else:
            self.is_empty = True
        return bytes(taken)

    def starting_with(self, beginning: bytes) -> Iterator[bytes]:
        yield self._count(beginning)
        try:
            for chunk in self._chunks:
                yield self._count(chunk)
        except BaseException as error:
            self.fault = error
            raise

    def _count(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        self.digest.update(chunk)
        return chunk


def _make_s3(settings: Settings, bucket: str, prefix: str, endpoint: str | None) -> S3Store:
    config: dict[str, Any] = {"region": settings.s3_region}
    if endpoint is not None:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    if settings.s3_access_key_id is not None:
        config["access_key_id"] = settings.s3_access_key_id
    if settings.s3_secret_access_key is not None:
        config["secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options={
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=300),  # of one request, and so of one part
        },
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
    )


def _make_head(meta: Any) -> ObjectHead:
    return ObjectHead(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"].timestamp())


def _file_chunks(key: str, file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    with file, _faults(key):
        file.seek(start)
        while end is None or start < end:
            chunk = file.read(READ_BYTES if end is None else min(READ_BYTES, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk


def _chunks(key: str, result: GetResult) -> Iterator[bytes]:
    with _faults(key):
        for chunk in result.stream(min_chunk_size=READ_BYTES):
            yield bytes(chunk)


@contextmanager
def _faults(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"There is no object {key!r}.") from error
    except (BaseError, OSError) as error:
        # obstore's text goes on with debugging lines and the store's internal address.
        cause = str(error).split("\n", 1)[0].split(": Error performing", 1)[0]
        raise StorageFault(f"The object store failed on {key!r}: {cause}") from error
