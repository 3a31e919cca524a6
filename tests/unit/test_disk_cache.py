"""The cache forgets what was used longest ago, and nothing that was used just now."""

import os
import shutil
from pathlib import Path

import pytest

from core import disk_cache
from core.disk_cache import RECENT_SECONDS, trim

NOW = 1_000_000.0


def cached(directory: Path, kind: str, name: str, size: int, age: float) -> Path:
    path = directory / kind / name
    if kind == "models":
        path.mkdir(parents=True)
        (path / "weights").write_bytes(b"x" * size)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_the_oldest_go_until_the_budget_is_kept(tmp_path: Path) -> None:
    oldest = cached(tmp_path, "archives", "a", 100, age=9000)
    older = cached(tmp_path, "models", "b", 100, age=8000)
    old = cached(tmp_path, "training-pixels", "c", 100, age=7000)
    assert trim(tmp_path, 150, now=NOW) == [oldest, older]
    assert not oldest.exists()
    assert not older.exists()
    assert old.exists()


def test_what_was_used_just_now_stays(tmp_path: Path) -> None:
    recent = cached(tmp_path, "archives", "a", 100, age=RECENT_SECONDS - 1)
    assert trim(tmp_path, 0, now=NOW) == []
    assert recent.exists()


def test_nothing_is_deleted_within_the_budget(tmp_path: Path) -> None:
    cached(tmp_path, "archives", "a", 100, age=9000)
    assert trim(tmp_path, 100, now=NOW) == []
    assert trim(tmp_path / "nowhere", 0, now=NOW) == []


def test_what_another_process_deleted_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = cached(tmp_path, "archives", "a", 100, age=9000)
    folder = cached(tmp_path, "models", "b", 100, age=8500)
    old = cached(tmp_path, "objects", "c", 100, age=8000)
    look = disk_cache._look

    def looked(path: Path) -> object:
        found = look(path)
        if path == gone:
            path.unlink()
        if path == folder:
            shutil.rmtree(path)
        return found

    monkeypatch.setattr(disk_cache, "_look", looked)
    assert trim(tmp_path, 0, now=NOW) == [gone, folder, old]
    assert look(gone) is None
    assert not old.exists()
