"""Looking into an archive from a process of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from core.datasets import apart
from core.datasets.apart import draw_apart, inspect_apart, run_apart
from core.datasets.limits import Limits
from core.datasets.structure import inspect
from core.errors import InvalidDataset, TooLarge, Unavailable

from .conftest import Saver
from .trees import as_zip, tree

ARCHIVE = as_zip(tree("train/cat/1.png", "train/dog/2.png", "test/cat/3.png"))


@pytest.fixture(autouse=True)
def _always_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "HERE_BYTES", 0)


def test_the_structure_is_the_same(save: Saver, limits: Limits) -> None:
    path = save(ARCHIVE)
    assert inspect_apart(path, limits) == inspect(path, limits)


def test_so_is_the_refusal(save: Saver, limits: Limits) -> None:
    for data, narrowed in (
        (b"nothing", limits),
        (ARCHIVE[:-30], limits),
        (ARCHIVE, dataclasses.replace(limits, max_classes=1)),
    ):
        path = save(data)
        with pytest.raises((InvalidDataset, TooLarge)) as here:
            inspect(path, narrowed)
        with pytest.raises(type(here.value)) as there:
            inspect_apart(path, narrowed)
        assert vars(there.value) == vars(here.value)


def test_a_small_archive_is_read_here(
    save: Saver, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "HERE_BYTES", len(ARCHIVE))
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert inspect_apart(save(ARCHIVE), limits).total_images == 3


def test_a_sheet_is_drawn(save: Saver, limits: Limits, tmp_path: Path) -> None:
    path, target = save(ARCHIVE), tmp_path / "sheet"
    draw_apart(path, inspect(path, limits), "train", limits, target)
    with Image.open(target) as sheet:
        assert sheet.format == "JPEG"


def test_memory_is_bounded() -> None:
    assert run_apart("hoard", n_bytes=100 << 20) == 100 << 20
    with pytest.raises(TooLarge) as caught:
        run_apart("hoard", n_bytes=apart.MEMORY_BYTES)
    assert caught.value.code == "too_much_memory"
    assert str(apart.MEMORY_BYTES) in caught.value.message


def test_a_child_that_is_brought_down_is_the_archives_fault() -> None:
    with pytest.raises(InvalidDataset, match="SIGSEGV") as caught:
        run_apart("die", number=signal.SIGSEGV)
    assert caught.value.code == "archive_corrupt"


def test_a_child_that_runs_out_of_time_is_too() -> None:
    with pytest.raises(TooLarge, match="seconds of a processor"):
        run_apart("die", number=signal.SIGXCPU)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_is_stopped_is_nobodys_fault(number: int) -> None:
    with pytest.raises(Unavailable) as caught:
        run_apart("die", number=number)
    assert caught.value.code == "inspection_interrupted"


def test_a_child_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSUM_S3_SECRET_ACCESS_KEY", "secret")
    assert [name for name in run_apart("variables") if name.startswith("LIPSUM")] == []


@pytest.fixture(autouse=True)
def _tasks_of_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The child finds these tasks beside its own."""
    (tmp_path / "tasks_of_tests.py").write_text(
        "import os, sys\n"
        "from core.datasets import apart\n"
        "def die(number): os.kill(os.getpid(), number)\n"
        "def hoard(n_bytes): return len(bytes(n_bytes))\n"
        "def variables(): return list(os.environ)\n"
        "apart._TASKS.update(die=die, hoard=hoard, variables=variables)\n"
    )
    monkeypatch.setattr(
        apart, "_COMMAND", "import tasks_of_tests; from core.datasets.apart import main; main()"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
