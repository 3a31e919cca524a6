"""`lipsum push`: what arrives, and what happens when either side dies in the middle."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from typer.testing import CliRunner

from cli.main import app
from cli.push import PART_BYTES, FileSource, send
from core.errors import ServiceError, Unavailable
from tests.api_process import ApiProcess, api_process, start
from tests.api_service import png

MIB = 1 << 20


@pytest.fixture
def command(api: ApiProcess, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command line, pointed at the running service."""
    monkeypatch.setenv("LIPSUM_BASE_URL", f"{api.address}/v1")
    monkeypatch.setenv("LIPSUM_API_KEY", api.key)
    return CliRunner()


def archive(path: Path, n_bytes: int, seed: int = 0) -> Path:
    """An archive of two classes whose images nobody has looked into yet."""
    draws = random.Random(seed)
    with zipfile.ZipFile(path, "w") as out:
        for number in range(n_bytes // MIB):
            image = zipfile.ZipInfo(f"{'cat' if number % 2 else 'dog'}/{number}.jpg")
            out.writestr(image, draws.randbytes(MIB))
    return path


def pushed(command: CliRunner, path: Path) -> str:
    done = command.invoke(app, ["push", str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def uploads_of(api: ApiProcess, name: str) -> list[dict[str, Any]]:
    with api.http() as http:
        return list(http.get("/v1/uploads", params={"filename": name}).json()["data"])


def parts_of(api: ApiProcess, upload_id: str) -> dict[int, str]:
    with api.http() as http:
        parts = http.get(f"/v1/uploads/{upload_id}/parts").json()["data"]
    return {part["part_number"]: part["id"] for part in parts}


def test_an_archive_arrives_as_it_is(api: ApiProcess, command: CliRunner, tmp_path: Path) -> None:
    path = archive(tmp_path / "large.zip", 20 * MIB)
    file = api.openai().files.retrieve(pushed(command, path))
    assert (file.filename, file.bytes, file.purpose) == (
        "large.zip",
        path.stat().st_size,
        "fine-tune",
    )
    assert (file.model_extra or {})["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    [upload] = uploads_of(api, "large.zip")
    assert (upload["mime_type"], upload["status"]) == ("application/zip", "completed")
    assert sorted(parts_of(api, upload["id"])) == [1, 2, 3]


def plant(folder: Path, names: dict[str, bytes]) -> Path:
    for name, data in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_folder_arrives_as_an_archive_of_its_images(
    api: ApiProcess, command: CliRunner, tmp_path: Path
) -> None:
    images = {
        f"{split}/{name}/{n}.png": png(n) + random.Random(n).randbytes(MIB)
        for split in ("train", "test")
        for name in ("cat", "Dog")
        for n in range(3)
    }
    others = {"classes.json": b'{"templates": ["a {}"]}', "notes.txt": b"x", "train/.DS_Store": b""}
    folder = plant(tmp_path / "pets", {**images, **others})
    file_id = pushed(command, folder)
    extra = api.openai().files.retrieve(file_id).model_extra or {}
    assert [split["images"] for split in extra["dataset"]["splits"]] == [6, 6]
    assert extra["dataset"]["ignored"] == 0
    content = tmp_path / "back.zip"
    content.write_bytes(api.openai().files.content(file_id).read())
    with zipfile.ZipFile(content) as back:
        assert {name: back.read(name) for name in back.namelist()} == {
            **images,
            "classes.json": others["classes.json"],
        }


def test_a_killed_push_goes_on_where_it_was(
    api: ApiProcess, command: CliRunner, tmp_path: Path
) -> None:
    path = archive(tmp_path / "killed.zip", 40 * MIB, seed=1)
    script = (
        "import os, signal, sys; from pathlib import Path; from cli.client import make_client; "
        "from cli.push import FileSource, send\n"
        f"stop = lambda done: done < {2 * PART_BYTES} or os.kill(os.getpid(), signal.SIGKILL)\n"
        "send(make_client(), FileSource(Path(sys.argv[1])), stop)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    [upload] = uploads_of(api, "killed.zip")
    before = parts_of(api, upload["id"])
    assert sorted(before)[:2] == [1, 2]
    assert len(before) < 6  # the others were on their way, or not yet
    file = api.openai().files.retrieve(pushed(command, path))
    assert (file.model_extra or {})["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    [again] = uploads_of(api, "killed.zip")
    assert (again["id"], again["status"]) == (upload["id"], "completed")
    after = parts_of(api, upload["id"])
    assert sorted(after) == [1, 2, 3, 4, 5, 6]
    assert {number: after[number] for number in before} == before


def test_a_killed_service_is_waited_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", 40 * MIB, seed=2)
    with api_process(tmp_path) as api:
        killed: list[int] = []

        def kill_once(done: int) -> None:
            if not killed:
                api.process.kill()
                killed.append(api.process.wait())
                api.process = start(api.settings)

        file = api.openai().files.retrieve(send(api.openai(), FileSource(path), kill_once))
        assert killed == [-signal.SIGKILL]
        assert (file.model_extra or {})["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_file_of_the_same_name_and_size_is_another_upload(
    api: ApiProcess, client: OpenAI, tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int) -> None:
        raise Interrupted

    path = archive(tmp_path / "twin.zip", 20 * MIB, seed=3)
    with pytest.raises(Interrupted):
        send(client, FileSource(path), interrupt)
    archive(path, 20 * MIB, seed=4)
    file = client.files.retrieve(send(client, FileSource(path), lambda done: None))
    assert (file.model_extra or {})["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    statuses = [upload["status"] for upload in uploads_of(api, "twin.zip")]
    assert statuses == ["completed", "pending"]


def test_a_refusal_is_the_services_own_and_leaves_no_upload_open(
    api: ApiProcess, command: CliRunner, tmp_path: Path
) -> None:
    path = tmp_path / "text.zip"
    path.write_bytes(b"no archive at all")
    refused = command.invoke(app, ["push", str(path)])
    assert isinstance(refused.exception, ServiceError)
    assert refused.exception.code == "not_an_archive"
    assert [upload["status"] for upload in uploads_of(api, "text.zip")] == ["cancelled"]


def test_a_service_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    nobody = OpenAI(base_url="http://127.0.0.1:9/v1", api_key="x", max_retries=0)
    path = archive(tmp_path / "a.zip", MIB)

    class OneTry:
        """The retries of a minute are not what is tested."""

        def with_options(self, **_: object) -> OpenAI:
            return nobody

    with pytest.raises(Unavailable, match="does not answer"):
        send(OneTry(), FileSource(path), lambda done: None)  # type: ignore[arg-type]
