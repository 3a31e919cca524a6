"""A disk that fills up in the middle: a sentence, nothing left behind, and the service goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api_service import Service, dataset, open_service

MIB = 1 << 20
DISK_BYTES = 4 * MIB


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Its spool is a disk of 4 MiB of its own; the store lies on another."""
    spool = tmp_path / "spool"
    spool.mkdir()
    wanted = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(spool)]
    if shutil.which("mount") is None or subprocess.run(wanted, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with open_service(tmp_path) as opened:
            yield opened
    finally:
        subprocess.run(["umount", str(spool)], check=True)


def chunks(size: int) -> Iterator[bytes]:
    """A form without a declared length."""
    part = b"--line\r\nContent-Disposition: form-data; name="
    yield part + b'"purpose"\r\n\r\nuser_data\r\n'
    yield part + b'"file"; filename="a"\r\n\r\n'
    for _ in range(size // 65_536):
        yield bytes(65_536)
    yield b"\r\n--line--\r\n"


def error_of(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def post(service: Service, size: int) -> Any:
    headers = {"content-type": "multipart/form-data; boundary=line"}
    return service.client.post("/v1/files", content=chunks(size), headers=headers)


def test_a_file_that_fills_the_disk(service: Service) -> None:
    status, code, message = error_of(post(service, 2 * DISK_BYTES))
    assert (status, code) == (507, "storage_error")
    assert "No space left" in message
    assert service.leftovers() == []
    assert service.client.get("/v1/files").json()["data"] == []
    assert post(service, DISK_BYTES // 2).status_code == 200  # copied to the other disk
    assert service.upload(dataset())["dataset"]["images"] == 36


def test_what_is_known_to_be_too_much_is_refused_at_once(service: Service) -> None:
    body = {"bytes": 2 * DISK_BYTES, "filename": "a", "mime_type": "x", "purpose": "user_data"}
    status, code, message = error_of(service.client.post("/v1/uploads", json=body))
    assert (status, code) == (507, "no_space")
    assert f"{DISK_BYTES} left" in message
    assert str(2 * DISK_BYTES) in message


def test_an_upload_can_go_on_when_there_is_room(service: Service) -> None:
    content = bytes(3 * MIB)
    body = {"bytes": len(content), "filename": "a", "mime_type": "x", "purpose": "user_data"}
    upload = service.client.post("/v1/uploads", json=body).json()["id"]
    path = f"/v1/uploads/{upload}"
    part = service.client.post(f"{path}/parts", files={"data": content}).json()["id"]
    blocker = service.settings.spool_directory / "blocker"
    blocker.write_bytes(bytes(2 * MIB))
    refused = service.client.post(f"{path}/complete", json={"part_ids": [part]})
    assert error_of(refused)[:2] == (507, "no_space")
    blocker.unlink()
    done = service.client.post(f"{path}/complete", json={"part_ids": [part]}).json()
    assert (done["status"], done["file"]["bytes"]) == ("completed", len(content))
