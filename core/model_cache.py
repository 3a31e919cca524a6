"""Stored models on this machine's disk, unpacked, each under its tar's digest.

Trainers and the inference process share the folder; a model is fetched once for all of them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path

from core.errors import NotFound, StorageFault
from core.learning.packing import unpack
from core.objects import ObjectStore


def fetch_model(store: ObjectStore, cache_directory: Path, object_key: str, sha256: str) -> Path:
    """The unpacked model, fetched now if need be. Using it keeps it from being trimmed.

    Raises `StorageFault` when the stored tar is missing or is not what its row says.
    """
    models = cache_directory / "models"
    target = models / sha256
    if target.is_dir():
        os.utime(target)
        return target
    work = models / f".{sha256}.{secrets.token_hex(8)}"
    try:
        work.mkdir(parents=True)
        tar, unpacked = work / "model.tar", work / "unpacked"
        store.download(object_key, tar)
        _check_digest(tar, sha256)
        unpack(tar, unpacked)
        _move_into_place(unpacked, target)
    except NotFound as fault:
        raise StorageFault(f"The stored weights {object_key} are missing.") from fault
    except (OSError, ValueError) as fault:
        raise StorageFault(f"The weights {object_key} cannot be unpacked: {fault}.") from fault
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def digest_of(tar: Path) -> str:
    """SHA-256 of a file, in hex."""
    with tar.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check_digest(tar: Path, sha256: str) -> None:
    found = digest_of(tar)
    if found != sha256:
        raise ValueError(f"its sha256 is {found}, not {sha256}; it is damaged")


def _move_into_place(unpacked: Path, target: Path) -> None:
    """Rename, unless another process was faster with the same content."""
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():
            raise
