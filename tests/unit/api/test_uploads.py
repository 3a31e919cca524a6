"""Uploads in parts: what becomes of them, and what is refused."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from core.records.tables import Upload, UploadPart
from tests.api_service import Service, add_key, dataset, open_service

CONTENT = bytes(range(256)) * 40


def create(service: Service, data: bytes, purpose: str = "user_data", **changes: Any) -> str:
    """The id of an upload that must be accepted."""
    body = {"bytes": len(data), "filename": "a.bin", "mime_type": "x/y", "purpose": purpose}
    answer = service.client.post("/v1/uploads", json={**body, **changes})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "pending"
    return str(answer.json()["id"])


def send(service: Service, upload: str, data: bytes, **fields: Any) -> httpx.Response:
    return service.client.post(
        f"/v1/uploads/{upload}/parts", files={"data": ("upload", data)}, data=fields
    )


def part(service: Service, upload: str, data: bytes, **fields: Any) -> str:
    """The id of a part that must be accepted."""
    answer = send(service, upload, data, **fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def complete(service: Service, upload: str, **body: Any) -> httpx.Response:
    return service.client.post(f"/v1/uploads/{upload}/complete", json=body)


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_the_result_is_what_one_request_would_have_made(fresh: Service) -> None:
    data = dataset()
    whole = fresh.upload(data, filename="a.zip")
    upload = create(fresh, data, "fine-tune", filename="a.zip")
    ids = [part(fresh, upload, data[:1000]), part(fresh, upload, data[1000:])]
    done = complete(fresh, upload, part_ids=ids, md5=hashlib.md5(data).hexdigest()).json()
    assert (done["object"], done["status"], done["bytes"]) == ("upload", "completed", len(data))
    own = {"id", "created_at"}
    assert {k: v for k, v in done["file"].items() if k not in own} == {
        k: v for k, v in whole.items() if k not in own
    }
    assert done["file"]["dataset"]["version"] == hashlib.sha256(data).hexdigest()
    assert fresh.client.get(f"/v1/uploads/{upload}").json() == done
    assert fresh.client.get(f"/v1/files/{done['file']['id']}/content").content == data
    stored = [name for name in fresh.leftovers() if name.startswith("files/")]
    assert len(stored) == 1  # one content, one object


def test_parts_come_in_any_order_by_number(service: Service) -> None:
    upload = create(service, CONTENT)
    for number in (3, 1, 2):
        piece = CONTENT[(number - 1) * 4000 : number * 4000]
        answer = send(
            service, upload, piece, part_number=number, sha256=hashlib.sha256(piece).hexdigest()
        )
        assert answer.json()["part_number"] == number
    done = complete(service, upload, sha256=hashlib.sha256(CONTENT).hexdigest()).json()
    assert done["file"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_part_ids_decide_the_order_and_may_repeat(service: Service) -> None:
    upload = create(service, b"abcabcx")
    x, abc = part(service, upload, b"x"), part(service, upload, b"abc")
    assert part(service, upload, b"abc") == abc
    done = complete(service, upload, part_ids=[abc, abc, x]).json()
    assert service.client.get(f"/v1/files/{done['file']['id']}/content").content == b"abcabcx"


def test_parts_are_listed_for_whoever_goes_on(service: Service) -> None:
    upload = create(service, CONTENT, filename="resume.bin")
    first = part(service, upload, CONTENT[:5000], part_number=1)
    found = service.client.get("/v1/uploads", params={"filename": "resume.bin"}).json()["data"]
    assert [item["id"] for item in found] == [upload]
    listed = service.client.get(f"/v1/uploads/{upload}/parts").json()
    assert listed["data"] == [
        {
            "id": first,
            "object": "upload.part",
            "created_at": listed["data"][0]["created_at"],
            "upload_id": upload,
            "part_number": 1,
            "bytes": 5000,
            "sha256": hashlib.sha256(CONTENT[:5000]).hexdigest(),
        }
    ]
    part(service, upload, CONTENT[5000:], part_number=2)
    page = service.client.get(f"/v1/uploads/{upload}/parts", params={"limit": 1}).json()
    assert page["has_more"]
    rest = service.client.get(
        f"/v1/uploads/{upload}/parts", params={"after": page["last_id"]}
    ).json()
    assert [item["part_number"] for item in page["data"] + rest["data"]] == [1, 2]


def test_a_directory_signs_nothing(service: Service) -> None:
    upload = create(service, b"abc")
    body = {"part_number": 1, "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    for act in ("sign", "confirm"):
        answer = service.client.post(f"/v1/uploads/{upload}/parts:{act}", json=body)
        assert error_of(answer) == (400, "store_cannot_sign", None)
        assert f"POST /v1/uploads/{upload}/parts" in answer.json()["error"]["message"]


def test_an_empty_file_needs_no_part(service: Service) -> None:
    done = complete(service, create(service, b""), part_ids=[]).json()
    assert done["file"]["bytes"] == 0


def test_completing_twice_is_completing_once(fresh: Service) -> None:
    upload = create(fresh, CONTENT)
    ids = [part(fresh, upload, CONTENT)]
    done = complete(fresh, upload, part_ids=ids).json()
    assert complete(fresh, upload, part_ids=ids).json() == done
    assert len(fresh.client.get("/v1/files").json()["data"]) == 1


def test_one_request_does_the_work_and_the_others_wait_for_it(fresh: Service) -> None:
    data = dataset(images=20)
    upload = create(fresh, data, "fine-tune")
    ids = [part(fresh, upload, data)]
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(complete(fresh, upload, part_ids=ids).json())
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["file"]["id"] for answer in answers}) == 1
    assert len(fresh.client.get("/v1/files").json()["data"]) == 1


def test_a_refused_archive_leaves_the_upload_as_it_is(fresh: Service) -> None:
    data = dataset()
    upload = create(fresh, data, "fine-tune")
    first, second = part(fresh, upload, data[:900]), part(fresh, upload, data[900:])
    wrong = complete(fresh, upload, part_ids=[second, first])
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] is None
    assert fresh.client.get(f"/v1/uploads/{upload}").json()["status"] == "pending"
    assert complete(fresh, upload, part_ids=[first, second]).json()["status"] == "completed"


def test_a_cancelled_upload_is_over(service: Service) -> None:
    upload = create(service, CONTENT)
    ids = [part(service, upload, CONTENT)]
    for _ in range(2):
        assert service.client.post(f"/v1/uploads/{upload}/cancel").json()["status"] == "cancelled"
    for answer in (send(service, upload, CONTENT), complete(service, upload, part_ids=ids)):
        assert error_of(answer) == (409, "upload_not_pending", None)
        assert answer.headers["x-should-retry"] == "false"


def test_a_late_upload_is_over(service: Service) -> None:
    upload = create(service, CONTENT)
    with service.database.write() as session:
        session.execute(update(Upload).where(Upload.id == upload).values(expires_at=1.0))
    assert service.client.get(f"/v1/uploads/{upload}").json()["status"] == "expired"
    assert error_of(send(service, upload, CONTENT)) == (409, "upload_not_pending", None)
    assert error_of(complete(service, upload)) == (409, "upload_not_pending", None)
    listed = service.client.get("/v1/uploads", params={"status": "expired"}).json()["data"]
    assert upload in [item["id"] for item in listed]


def test_a_deleted_file_leaves_its_upload_without_one(service: Service) -> None:
    upload = create(service, CONTENT)
    done = complete(service, upload, part_ids=[part(service, upload, CONTENT)]).json()
    service.client.delete(f"/v1/files/{done['file']['id']}")
    again = service.client.get(f"/v1/uploads/{upload}").json()
    assert (again["status"], again["file"]) == ("completed", None)


def test_another_projects_upload_does_not_exist(service: Service) -> None:
    upload = create(service, CONTENT)
    _, other = add_key(service.database, "other")
    headers = {"authorization": f"Bearer {other}"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("GET", "/parts", {}),
        ("POST", "/parts", {"files": {"data": b"x"}}),
        ("POST", "/complete", {"json": {"part_ids": []}}),
        ("POST", "/cancel", {}),
    ]
    for method, suffix, body in asked:
        foreign = service.client.request(
            method, f"/v1/uploads/{upload}{suffix}", headers=headers, **body
        )
        never = service.client.request(
            method, f"/v1/uploads/upload-none{suffix}", headers=headers, **body
        )
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(upload, "upload-none") == never.text


class TestRefusals:
    @pytest.fixture
    def upload(self, service: Service) -> str:
        return create(service, CONTENT)

    @pytest.mark.parametrize(
        ("changes", "code", "param"),
        [
            ({"purpose": "assistants"}, "unknown_purpose", "purpose"),
            ({"bytes": -1}, "invalid_request", "bytes"),
            ({"bytes": "many"}, "invalid_request", "bytes"),
            ({"filename": ""}, "invalid_request", "filename"),
            ({"filename": "a" * 256}, "invalid_request", "filename"),
            ({"expires_after": {"anchor": "created_at"}}, "invalid_request", "expires_after"),
        ],
    )
    def test_of_an_announcement(
        self, service: Service, changes: dict[str, Any], code: str, param: str
    ) -> None:
        body = {"bytes": 1, "filename": "a", "mime_type": "x/y", "purpose": "user_data"}
        answer = service.client.post("/v1/uploads", json={**body, **changes})
        assert error_of(answer) == (400, code, param)

    @pytest.mark.parametrize(
        ("fields", "code", "param"),
        [
            ({"part_number": "0"}, "invalid_part_number", "part_number"),
            ({"part_number": "-1"}, "invalid_part_number", "part_number"),
            ({"part_number": "10001"}, "invalid_part_number", "part_number"),
            ({"part_number": "1e3"}, "invalid_part_number", "part_number"),
            ({"part_number": "٣"}, "invalid_part_number", "part_number"),
            ({"sha256": "0" * 64}, "digest_differs", "sha256"),
            ({"sha256": "0" * 63}, "invalid_request", "sha256"),
            ({"offset": "1"}, "unknown_field", "offset"),
        ],
    )
    def test_of_a_part(
        self, service: Service, upload: str, fields: dict[str, str], code: str, param: str
    ) -> None:
        assert error_of(send(service, upload, b"x", **fields)) == (400, code, param)

    def test_of_a_part_of_nothing(self, service: Service, upload: str) -> None:
        assert error_of(send(service, upload, b"")) == (400, "empty_part", "data")
        answer = service.client.post(f"/v1/uploads/{upload}/parts", files={"file": b"x"})
        assert error_of(answer) == (400, "unknown_field", "file")
        answer = service.client.post(f"/v1/uploads/{upload}/parts", json={"data": "x"})
        assert error_of(answer) == (400, "invalid_content_type", None)

    def test_of_more_than_was_announced(self, fresh: Service) -> None:
        upload = create(fresh, b"1234567890")
        assert error_of(send(fresh, upload, b"x" * 11)) == (413, "part_too_large", "data")
        part(fresh, upload, b"12345678")
        assert error_of(send(fresh, upload, b"abc")) == (413, "upload_too_large", "data")
        assert len(fresh.leftovers()) == 1  # what is refused is not stored first

    def test_of_other_content_under_a_number(self, fresh: Service) -> None:
        upload = create(fresh, CONTENT)
        part(fresh, upload, b"x", part_number=1)
        answer = send(fresh, upload, b"y", part_number=1)
        assert error_of(answer) == (409, "part_differs", "part_number")
        assert len(fresh.leftovers()) == 1

    def test_of_an_order(self, service: Service) -> None:
        upload = create(service, CONTENT)
        first = part(service, upload, CONTENT[:100])
        for part_ids, code in (
            ([first], "wrong_size"),
            ([], "wrong_size"),
            ([first, "part-none"], "unknown_part"),
        ):
            answer = complete(service, upload, part_ids=part_ids)
            assert error_of(answer) == (400, code, "part_ids")
        assert error_of(complete(service, upload)) == (400, "missing_parts", "part_ids")
        too_many = complete(service, upload, part_ids=["p"] * 10_001)
        assert error_of(too_many) == (400, "invalid_request", "part_ids")

    @pytest.mark.parametrize("name", ["md5", "sha256"])
    def test_of_another_digest(self, service: Service, name: str) -> None:
        upload = create(service, CONTENT)
        ids = [part(service, upload, CONTENT)]
        wrong = "0" * (32 if name == "md5" else 64)
        assert error_of(complete(service, upload, part_ids=ids, **{name: wrong})) == (
            400,
            "digest_differs",
            name,
        )
        right = hashlib.new(name, CONTENT).hexdigest().upper()
        done = complete(service, upload, part_ids=ids, **{name: right})
        assert done.json()["status"] == "completed"

    def test_of_a_part_over_64_mib(self, service: Service) -> None:
        upload = create(service, b"", bytes=100 << 20)
        answer = send(service, upload, bytes((64 << 20) + 1))
        assert error_of(answer) == (413, "part_too_large", "data")
        assert str(64 << 20) in answer.json()["error"]["message"]


class TestSizes:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Service]:
        with open_service(tmp_path, max_file_bytes=10_000) as opened:
            yield opened

    def test_over_the_limit_is_refused_before_anything_is_sent(self, small: Service) -> None:
        body = {"bytes": 10_001, "filename": "a", "mime_type": "x", "purpose": "user_data"}
        answer = small.client.post("/v1/uploads", json=body)
        assert error_of(answer) == (413, "file_too_large", "bytes")
        assert "10000" in answer.json()["error"]["message"]

    def test_more_than_the_disk_has_is_refused_before_anything_is_sent(
        self, tmp_path: Path
    ) -> None:
        with open_service(tmp_path, max_file_bytes=1 << 60) as wide:
            body = {"bytes": 1 << 59, "filename": "a", "mime_type": "x", "purpose": "user_data"}
            answer = wide.client.post("/v1/uploads", json=body)
            assert error_of(answer) == (507, "no_space", None)
            free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
            stated = int(answer.json()["error"]["message"].split("disk has ")[1].split()[0])
            assert abs(stated - free) < 1 << 30
            declared = {"content-length": str(1 << 59)}
            answer = wide.client.post(
                "/v1/files",
                content=iter([b"--line"]),
                headers={"content-type": "multipart/form-data; boundary=line", **declared},
            )
            assert error_of(answer) == (507, "no_space", None)


def test_stored_bytes_that_are_missing_are_a_fault_of_storage(fresh: Service) -> None:
    upload = create(fresh, CONTENT)
    ids = [part(fresh, upload, CONTENT)]
    with fresh.database.write() as session:
        session.execute(update(UploadPart).values(object_key="uploads/nothing"))
    assert error_of(complete(fresh, upload, part_ids=ids)) == (507, "storage_error", None)
    fresh.store.put_bytes("uploads/nothing", b"short")
    assert error_of(complete(fresh, upload, part_ids=ids)) == (507, "storage_error", None)
    fresh.store.put_bytes("uploads/nothing", CONTENT)
    assert complete(fresh, upload, part_ids=ids).json()["status"] == "completed"
    assert [name for name in fresh.leftovers() if name.endswith(".upload")] == []
