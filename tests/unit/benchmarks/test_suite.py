"""A benchmark's record: made in several runs, of one commit on one machine, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import suite
from benchmarks.suite import Part

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs two parts with a command line; which of them were measured."""
    monkeypatch.setattr(suite, "commit", lambda: "0123456789ab")
    monkeypatch.setattr(suite, "changed_files", list)
    monkeypatch.setattr(suite, "machine", lambda: {"cores": 2})

    def do(*arguments: str) -> list[str]:
        measured: list[str] = []

        def part(name: str) -> Part:
            def measure(**sizes: int) -> dict[str, Any]:
                measured.append(name)
                return {"sizes": sizes}

            return Part(measure, {"size": 100}, {"size": 1})

        monkeypatch.setattr("sys.argv", ["benchmark", *arguments])
        suite.run("make it", "A title.", {name: part(name) for name in ("a", "b")}, lambda _: [])
        return measured

    return do


def test_a_record_is_made_part_by_part(tmp_path: Path, run: Run) -> None:
    record = tmp_path / "record.json"
    assert run("--record", str(record), "--only", "a") == ["a"]
    assert run("--record", str(record)) == ["b"]
    document = json.loads(record.read_text())
    assert {name: part["sizes"] for name, part in document["parts"].items()} == {
        "a": {"size": 100},
        "b": {"size": 100},
    }
    assert (document["command"], document["commit"]) == ("make it", "0123456789ab")
    assert run("--record", str(record)) == []


@pytest.mark.parametrize("changed", ["commit", "machine", "command"])
def test_what_another_measured_is_measured_anew(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    record = tmp_path / "record.json"
    run("--record", str(record))
    document = json.loads(record.read_text())
    record.write_text(json.dumps({**document, changed: "other"}))
    assert run("--record", str(record)) == ["a", "b"]


def test_nothing_is_recorded_of_code_that_no_commit_has(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "changed_files", lambda: ["core/settings.py"])
    with pytest.raises(SystemExit, match=r"core/settings\.py differ"):
        run("--record", str(tmp_path / "record.json"))
    assert not list(tmp_path.iterdir())
    assert run() == ["a", "b"]  # to look at it, as it is


def test_small_sizes_are_never_recorded(tmp_path: Path, run: Run) -> None:
    with pytest.raises(SystemExit):
        run("--small", "--record", str(tmp_path / "record.json"))
    assert run("--small") == ["a", "b"]
