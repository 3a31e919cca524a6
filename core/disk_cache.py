"""Keeping this machine's cache of what can be made again within its budget. Trainers, the
inference process and the API fill it, and all trim it."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

# Recently used things stay whatever the budget says: another trainer may be about to open them.
RECENT_SECONDS = 3600.0
_KINDS = (
    "archives",
    "objects",
    "models",
    "training-pixels",
    "evaluation-pixels",
    "features",
    "heads",
    "exports",
)


def trim(cache_directory: Path, budget: int, *, now: float | None = None) -> list[Path]:
    """Delete what was used longest ago until `budget` bytes are left; what was deleted.

    Using a cached thing touches its time. A trainer that has a deleted file mapped keeps its
    pages until it lets go.
    """
    now = time.time() if now is None else now
    paths = [path for kind in _KINDS for path in (cache_directory / kind).glob("*")]
    found = sorted(filter(None, map(_look, paths)))
    total = sum(size for _, _, size in found)
    deleted = []
    for used, path, size in found:
        if total <= budget or now - used < RECENT_SECONDS:
            break
        with suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        total -= size
        deleted.append(path)
    return deleted


def _look(path: Path) -> tuple[float, Path, int] | None:
    """When it was used last, and its size in bytes; None where another process deleted it."""
    try:
        used = path.stat().st_mtime
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        return used, path, sum(file.stat().st_size for file in files)
    except FileNotFoundError:
        return None
