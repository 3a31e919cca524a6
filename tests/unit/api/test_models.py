"""Models and their weights, whole and file by file."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from openai.types import Model

from core.jobs.messages import StoredModel
from tests.api_service import Service, add_base, add_key
from tests.unit.api.test_jobs import create, finish, training_file

__all__ = ["training_file"]


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture(scope="module")
def base(service: Service) -> str:
    return add_base(service.database, service.store)


def test_bases_are_listed_for_everybody(service: Service, base: str) -> None:
    listed = service.client.get("/v1/models").json()
    model = next(item for item in listed["data"] if item["id"] == base)
    assert Model.model_validate(model).owned_by == "operator"
    assert (model["kind"], model["image_size"], model["job_id"]) == ("base", 16, None)
    assert service.client.get(f"/v1/models/{base}").json() == model


def test_the_tar_and_its_files(service: Service, base: str) -> None:
    tar = b"weights of a base"
    whole = service.client.get(f"/v1/models/{base}/weights")
    assert whole.content == tar
    assert whole.headers["etag"] == f'"{hashlib.sha256(tar).hexdigest()}"'
    assert whole.headers["content-type"] == "application/x-tar"
    assert whole.headers["content-disposition"] == 'attachment; filename="base_tiny.tar"'
    part = service.client.get(f"/v1/models/{base}/weights", headers={"range": "bytes=8-9"})
    assert (part.status_code, part.content) == (206, b"of")

    one = service.client.get(f"/v1/models/{base}/files/README.md")
    assert (one.status_code, one.content) == (200, tar[12:17])
    tail = service.client.get(f"/v1/models/{base}/files/README.md", headers={"range": "bytes=-2"})
    assert (tail.content, tail.headers["content-range"]) == (b"se", "bytes 3-4/5")


def test_a_model_that_is_being_made_says_so(service: Service, training_file: str) -> None:
    job = create(service, training_file, suffix="soon")
    made_of = job["id"].removeprefix("ftjob-")
    for model_id in (f"ft:tiny:soon:{made_of}", f"ft:tiny:soon:{made_of}:seed-4"):
        answer = service.client.get(f"/v1/models/{model_id}")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "model_not_ready")
        assert f"{job['id']}, which is to make it, is {job['status']}" in error["message"]
    service.client.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel")
    answer = service.client.get(f"/v1/models/ft:tiny:soon:{made_of}")
    assert answer.json()["error"]["code"] == "model_not_found"

    _, secret = add_key(service.database, "theirs")
    waiting = create(service, training_file)["id"].removeprefix("ftjob-")
    theirs = service.client.get(
        f"/v1/models/ft:tiny::{waiting}", headers={"authorization": f"Bearer {secret}"}
    )
    assert theirs.json()["error"]["code"] == "model_not_found"


def test_equal_tars_are_equal_members(fresh: Service) -> None:
    files = {"open_clip_config.json": b"{}", "README.md": b"hello"}
    tar = tar_of(files)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = {m.name: [m.offset_data, m.size] for m in archive}
    assert {n: tar[o : o + s] for n, (o, s) in members.items()} == files


@pytest.mark.parametrize(
    "name", ["none", "..%2f..%2fapi_key", "%252e%252e", "README.md%00", "a%5cb", "C:%5cx"]
)
def test_files_are_found_by_the_row_and_by_no_path(service: Service, base: str, name: str) -> None:
    answer = service.client.get(f"/v1/models/{base}/files/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] in ("not_found", "unknown_url")


def test_a_mixtures_members_are_files_in_folders(service: Service, training_file: str) -> None:
    job_id = create(service, training_file, suffix="mixed")["id"]
    model_id = f"ft:tiny:mixed:{job_id.removeprefix('ftjob-')}"
    tar = tar_of({"fine_tuned/head.safetensors": b"a head", "zero_shot/head.safetensors": b"none"})
    key = f"jobs/{job_id}/attempts/1/model.tar"
    stored = service.store.put_bytes(key, tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = {m.name: (m.offset_data, m.size) for m in archive}
    mixture = {"zero_shot": "base:tiny", "fine_tuned": "ft:tiny::one"}
    made = StoredModel(
        id=model_id,
        kind="fine_tuned",
        object_key=key,
        sha256=stored.sha256,
        size=stored.size,
        members=members,
        info={"base": "base:tiny", "mixture": mixture},
        seed=0,
    )
    finish(service, job_id, [made])
    model = service.client.get(f"/v1/models/{model_id}").json()
    assert model["mixture"] == mixture
    assert {file["name"] for file in model["files"]} == set(members)
    for name in ("fine_tuned/head.safetensors", "fine_tuned%2Fhead.safetensors"):
        one = service.client.get(f"/v1/models/{model_id}/files/{name}")
        assert (one.status_code, one.content) == (200, b"a head")
        filename = 'filename="fine_tuned_head.safetensors"'
        assert filename in one.headers["content-disposition"]
    for name in ("head.safetensors", "fine_tuned", "fine_tuned/", "fine_tuned//head.safetensors"):
        assert service.client.get(f"/v1/models/{model_id}/files/{name}").status_code == 404


def test_a_base_is_the_operators(service: Service, base: str) -> None:
    answer = service.client.delete(f"/v1/models/{base}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_a_fine_tuned_model_can_be_deleted_by_its_owner(
    service: Service, training_file: str
) -> None:
    job_id = create(service, training_file, suffix="gone")["id"]
    finish(service, job_id)
    model_id = f"ft:tiny:gone:{job_id.removeprefix('ftjob-')}"
    model = service.client.get(f"/v1/models/{model_id}").json()
    assert (model["kind"], model["job_id"], model["owned_by"]) == (
        "fine_tuned",
        job_id,
        service.project_id,
    )
    _, other = add_key(service.database, "other")
    headers = {"authorization": f"Bearer {other}"}
    assert service.client.delete(f"/v1/models/{model_id}", headers=headers).status_code == 404
    assert service.client.delete(f"/v1/models/{model_id}").json() == {
        "id": model_id,
        "object": "model",
        "deleted": True,
    }
    answer = service.client.get(f"/v1/models/{model_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_missing_bytes_are_our_fault(fresh: Service) -> None:
    base = add_base(fresh.database, fresh.store)
    fresh.store.delete("bases/tiny.tar")
    answer = fresh.client.get(f"/v1/models/{base}/weights")
    assert (answer.status_code, answer.json()["error"]["type"]) == (507, "server_error")
    assert answer.headers["retry-after"] == "2"
