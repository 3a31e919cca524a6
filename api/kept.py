"""Stored objects as files on this machine's disk, for those that are read again and again."""

from __future__ import annotations

import os
from pathlib import Path

from api.services import Services
from api.spool import require_space
from core.disk_cache import trim


def kept(services: Services, key: str, sha256: str) -> Path:
    """The object, which has that digest: where it lies, or in the cache, fetched now if need be.
    Do not change it; it stays for an hour, and as long as the cache's budget allows.

    Raises NotFound and StorageFault.
    """
    store, settings = services.store, services.settings
    head = store.head(key)  # gone from the store is gone
    path = store.local_path(key)
    if path is not None:
        return path
    target = settings.cache_directory / "objects" / sha256
    try:
        os.utime(target)
    except FileNotFoundError:
        require_space(target.parent, head.size)
        store.download(key, target)
        trim(settings.cache_directory, settings.cache_bytes)
    return target
