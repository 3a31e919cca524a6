"""Uploads on their way in: files on the data volume that vanish unless they are taken over.

An upload that ends in any way but success leaves nothing: the file is removed with its block,
and what a killed process left is swept at the next start. A file in use is locked, so several
API processes can share a directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import StorageFault
from core.objects import ObjectStore

_SUFFIX = ".upload"
_SWEEP_AFTER = 60.0  # seconds; a file younger than this may not be locked yet


class SpoolFile:
    """A file being received: counted and hashed as it is written."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = 0
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends. Raises StorageFault when the disk does not take it."""
        self._digest.update(data)
        self._append(data)

    def write_all(self, chunks: Iterable[bytes]) -> None:
        """Appends them all, each written by a thread of its own while it is hashed here."""
        with ThreadPoolExecutor(1) as pool:
            writing: Future[None] | None = None
            for chunk in chunks:
                if writing is not None:
                    writing.result()
                writing = pool.submit(self._append, chunk)
                self._digest.update(chunk)
            if writing is not None:
                writing.result()

    def _append(self, data: bytes) -> None:
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _fault(error) from error

    def finish(self) -> None:
        """Everything is on disk under `path`."""
        try:
            self._file.flush()
        except OSError as error:
            raise _fault(error) from error


@contextmanager
def spool_file(directory: Path) -> Iterator[SpoolFile]:
    """A new file for the block's duration."""
    path = directory / f"{secrets.token_hex(16)}{_SUFFIX}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    except OSError as error:
        raise _fault(error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield SpoolFile(path, file)
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # a full disk fails again at the last flush
            file.close()


@contextmanager
def on_disk(store: ObjectStore, key: str, directory: Path) -> Iterator[Path]:
    """The object as a file for the block's duration: where it lies, or fetched. Do not change it.

    Raises NotFound and StorageFault.
    """
    path = store.local_path(key)
    if path is not None:
        store.head(key)
        yield path
        return
    require_space(directory, store.head(key).size)
    with spool_file(directory) as fetched:
        fetched.write_all(store.read(key))
        fetched.finish()
        yield fetched.path


def require_space(directory: Path, size: int) -> None:
    """Raises StorageFault when so many bytes do not fit: better now than after the last one."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise _fault(error) from error
    if size > free:
        raise StorageFault(
            f"The upload has {size} bytes and the service's disk has {free} left. Send less, or "
            "ask the operator to make room.",
            code="no_space",
        )


def sweep(directory: Path) -> None:
    """Removes what no living process is receiving."""
    for path in directory.glob(f"*{_SUFFIX}"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime < _SWEEP_AFTER:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when it is in use
            path.unlink()


def _fault(error: OSError) -> StorageFault:
    return StorageFault(
        f"The upload could not be written to the spool directory: {error.strerror}. Nothing of "
        "it was kept."
    )
