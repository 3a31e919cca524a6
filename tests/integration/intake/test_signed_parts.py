"""Parts that clients write into a real S3 server by themselves, at signed addresses."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.push import PART_BYTES
from core.records.upload_parts import signed_prefix
from tests.api_process import ApiProcess, api_process
from tests.s3_server import S3Server, s3_server

__all__ = ["s3_server"]
pytestmark = pytest.mark.servers
FIRST, SECOND = b"one half, " * 500, b"and the other"


@pytest.fixture(scope="module")
def api(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """Over a bucket of that server."""
    s3_server.make_bucket("signed-parts")
    store = {"object_store_url": "s3://signed-parts/lipsum", **s3_server.settings()}
    with api_process(tmp_path_factory.mktemp("signed"), **store) as running:
        yield running


@pytest.fixture
def http(api: ApiProcess) -> Iterator[httpx.Client]:
    with api.http() as client:
        yield client


@pytest.fixture
def upload(http: httpx.Client) -> str:
    body = {"bytes": len(FIRST + SECOND), "filename": "a.bin", "mime_type": "x/y"}
    return str(http.post("/v1/uploads", json={**body, "purpose": "user_data"}).json()["id"])


def part(data: bytes, number: int) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"part_number": number, "bytes": len(data), "sha256": digest}


def sign(http: httpx.Client, upload: str, wanted: dict[str, Any]) -> str:
    answer = http.post(f"/v1/uploads/{upload}/parts:sign", json=wanted)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= {"method": "PUT", "upload_id": upload, **wanted}.items()
    return str(answer.json()["url"])


def confirm(http: httpx.Client, upload: str, wanted: dict[str, Any]) -> httpx.Response:
    return http.post(f"/v1/uploads/{upload}/parts:confirm", json=wanted)


def write(http: httpx.Client, upload: str, data: bytes, number: int) -> str:
    """A part by the whole way; its id."""
    wanted = part(data, number)
    assert httpx.put(sign(http, upload, wanted), content=data).is_success
    answer = confirm(http, upload, wanted)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_parts_become_a_file(http: httpx.Client, upload: str) -> None:
    write(http, upload, SECOND, 2)
    first = write(http, upload, FIRST, 1)
    assert confirm(http, upload, part(FIRST, 1)).json()["id"] == first
    done = http.post(f"/v1/uploads/{upload}/complete", json={}).json()
    assert http.get(f"/v1/files/{done['file']['id']}/content").content == FIRST + SECOND


def test_both_ways_in_one_upload(http: httpx.Client, upload: str) -> None:
    write(http, upload, FIRST, 1)
    sent = http.post(
        f"/v1/uploads/{upload}/parts", files={"data": SECOND}, data={"part_number": "2"}
    )
    assert sent.status_code == 200
    done = http.post(f"/v1/uploads/{upload}/complete", json={}).json()
    assert done["file"]["sha256"] == hashlib.sha256(FIRST + SECOND).hexdigest()


def test_what_was_not_written_is_no_part(http: httpx.Client, upload: str) -> None:
    wanted = part(FIRST, 1)
    url = sign(http, upload, wanted)
    assert refusal(confirm(http, upload, wanted)) == (409, "part_not_there")
    httpx.put(url, content=FIRST[1:])
    assert refusal(confirm(http, upload, wanted)) == (409, "wrong_size")
    assert http.get(f"/v1/uploads/{upload}/parts").json()["data"] == []
    httpx.put(url, content=FIRST)
    assert confirm(http, upload, wanted).status_code == 200


@pytest.mark.parametrize("wrong", [b"X" + FIRST[1:], FIRST + b"more", FIRST[:10]])
def test_other_bytes_are_found_out(http: httpx.Client, upload: str, wrong: bytes) -> None:
    """Whether they were there before the part was confirmed or came after."""
    write(http, upload, SECOND, 2)
    write(http, upload, FIRST, 1)
    url = sign(http, upload, part(FIRST, 1))
    httpx.put(url, content=wrong)
    answer = http.post(f"/v1/uploads/{upload}/complete", json={})
    assert refusal(answer) == (400, "digest_differs")
    httpx.put(url, content=FIRST)
    assert http.post(f"/v1/uploads/{upload}/complete", json={}).status_code == 200


def test_an_address_is_for_one_object(http: httpx.Client, upload: str) -> None:
    url = httpx.URL(sign(http, upload, part(FIRST, 1)))
    assert url.params["X-Amz-Expires"] == "3600"
    for elsewhere in (url.path.replace(signed_prefix(upload), "files"), f"{url.path}0"):
        assert httpx.put(url.copy_with(path=elsewhere), content=FIRST).status_code == 403
    assert httpx.get(url).status_code == 403
    assert httpx.put(url.copy_with(query=None), content=FIRST).is_client_error
    assert refusal(confirm(http, upload, part(FIRST, 1))) == (409, "part_not_there")


def test_push(
    api: ApiProcess, http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as out:
        for number in range(3):
            out.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.jpg", bytes(PART_BYTES // 2))
    monkeypatch.setenv("LIPSUM_BASE_URL", f"{api.address}/v1")
    monkeypatch.setenv("LIPSUM_API_KEY", api.key)
    command = ["push", "--direct", str(path)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    file = http.get(f"/v1/files/{done.stdout.strip()}").json()
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    upload = http.get("/v1/uploads", params={"filename": path.name}).json()["data"][0]["id"]
    written = [item.size for item in api.store.list(signed_prefix(upload))]
    assert sum(written) == path.stat().st_size
