"""`lipsum gc`, `backup`, `restore` and `projects delete`, as an operator gives them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.api_service import Service, open_service

STRAY = "uploads/upload-gone/part"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("LIPSUM_DATA_DIR", str(tmp_path / "data"))
    with open_service(tmp_path / "data") as opened:
        yield opened


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def test_objects_that_nothing_names_are_shown_and_then_deleted(service: Service) -> None:
    assert run("gc") == "0 objects, 0 bytes, deleted"
    service.store.put_bytes(STRAY, b"stray")
    path = service.settings.data_dir / "objects" / STRAY
    assert run("gc") == "0 objects, 0 bytes, deleted"  # its row may still come
    two_days_ago = time.time() - 2 * 86400
    os.utime(path, (two_days_ago, two_days_ago))
    found = f"{STRAY} (5 bytes) 1 objects, 5 bytes, would be deleted: 1 under uploads/"
    assert run("gc", "--dry-run") == found
    assert path.exists()
    assert run("gc") == found.replace("would be deleted", "deleted")
    assert not path.exists()


def test_a_backup_and_what_it_lacks(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = service.upload(b"some bytes", "user_data")
    backup = str(tmp_path / "backup")
    assert run("backup", backup).endswith("1 objects (10 bytes), 1 of them copied now")
    monkeypatch.setenv("LIPSUM_DATA_DIR", str(tmp_path / "restored"))
    assert "1 objects" in run("restore", backup)
    restored = tmp_path / "restored" / "objects" / "files" / service.project_id
    assert [path.read_bytes() for path in restored.iterdir()] == [b"some bytes"]
    monkeypatch.setenv("LIPSUM_DATA_DIR", str(tmp_path / "data"))
    (key,) = (item.key for item in service.store.list("files"))
    service.store.delete(key)
    told = run("backup", str(tmp_path / "another"), status=1)
    assert f"missing {key}: a row names it" in told
    assert file["id"]


def test_a_project_is_removed_when_it_is_meant(service: Service) -> None:
    run("projects", "create", "birds")
    answer = CliRunner().invoke(app, ["projects", "delete", "birds"], input="n\n")
    assert answer.exit_code == 1
    assert "birds" in run("projects", "list")
    assert "its keys open nothing any more" in run("projects", "delete", "birds", "--yes")
    assert "birds" not in run("projects", "list")
