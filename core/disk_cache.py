"""Keeping this machine's cache of what can be made again within its budget. Trainers and the
inference process fill it, and both trim it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

# Recently used things stay whatever the budget says: another trainer may be about to open them.
RECENT_SECONDS = 3600.0
_KINDS = (
    "archives",
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
    found = [path for kind in _KINDS for path in (cache_directory / kind).glob("*")]
    sizes = {path: _size(path) for path in found}
    total = sum(sizes.values())
    deleted = []
    for path in sorted(found, key=lambda path: path.stat().st_mtime):
        if total <= budget or now - path.stat().st_mtime < RECENT_SECONDS:
            break
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        total -= sizes[path]
        deleted.append(path)
    return deleted


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
