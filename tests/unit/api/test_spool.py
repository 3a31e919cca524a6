"""What is left on the spool: nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from api.spool import spool_file, sweep
from core.errors import StorageFault


def test_a_file_lives_as_long_as_its_block(tmp_path: Path) -> None:
    with spool_file(tmp_path / "spool") as file:
        file.write(b"half")
        file.write(b"whole")
        file.finish()
        assert file.path.read_bytes() == b"halfwhole"
        assert file.size == 9
    assert list((tmp_path / "spool").iterdir()) == []


def test_also_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"), spool_file(tmp_path):
        raise ValueError("refused")
    assert list(tmp_path.iterdir()) == []


def test_a_start_sweeps_what_a_dead_process_left(tmp_path: Path) -> None:
    left = tmp_path / "left.upload"
    left.write_bytes(b"x")
    young = tmp_path / "young.upload"
    young.write_bytes(b"x")
    foreign = tmp_path / "foreign.txt"
    foreign.write_bytes(b"x")
    with spool_file(tmp_path) as held:
        for path in (left, held.path, foreign):
            os.utime(path, (time.time() - 1000, time.time() - 1000))
        sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([young, foreign, held.path])
    sweep(tmp_path / "nowhere")


def test_a_disk_that_refuses_is_a_fault_of_storage(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(StorageFault, match="spool directory"), spool_file(blocked / "spool"):
        pass
