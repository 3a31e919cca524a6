"""Uploads into, and imports from, a real S3 server."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.objects import PART_BYTES, ObjectStore
from core.settings import Settings
from tests.api_service import Service, dataset, open_service, png, zip_of
from tests.s3_server import S3Server, s3_server

__all__ = ["s3_server"]
pytestmark = pytest.mark.servers
FOLDER = {
    f"{split}/{name}/{n}.png": png(n)
    for split in ("train", "test")
    for name in "ab"
    for n in (1, 2)
}


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    """Somebody's data beside that of the service."""
    name = s3_server.make_bucket("data-of-users")
    client = s3_server.client()
    objects = {
        "open/flowers.zip": dataset(seed=40),
        "open/text.zip": b"no archive",
        "open-not/flowers.zip": dataset(seed=41),
        "shut/flowers.zip": dataset(seed=42),
        **{f"open/pets/{key}": data for key, data in FOLDER.items()},
        "open/pets/notes.txt": b"left out",
        "open/pets/classes.json": b'{"templates": ["a {}."]}',
        "open/broken/1.png": png(),
    }
    for key, data in objects.items():
        client.put_object(Bucket=name, Key=key, Body=data)
    return name


@pytest.fixture(scope="module")
def service(
    s3_server: S3Server, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service whose store is a bucket of that server."""
    s3_server.make_bucket("store-of-service")
    with open_service(
        tmp_path_factory.mktemp("s3"),
        object_store_url="s3://store-of-service/lipsum",
        import_prefixes=f"s3://{bucket}/open s3://other-bucket",
        **s3_server.settings(),
    ) as opened:
        yield opened


def spooled(service: Service) -> list[str]:
    return [path.name for path in service.settings.spool_directory.iterdir()]


def error_of(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


class TestImports:
    def create(self, service: Service, source: str, **body: Any) -> Any:
        return service.client.post("/v1/datasets", json={"source": source, **body})

    def test_of_an_archive(self, service: Service, bucket: str, s3_server: S3Server) -> None:
        made = self.create(service, f"s3://{bucket}/open/flowers.zip", filename="mine.zip").json()
        stored = s3_server.client().get_object(Bucket=bucket, Key="open/flowers.zip")["Body"].read()
        assert made["id"] == hashlib.sha256(stored).hexdigest()
        assert made["filename"] == "mine.zip"
        content = service.client.get(f"/v1/files/{made['files'][0]}/content").content
        assert content == stored
        assert spooled(service) == []

    def test_of_a_folder(self, service: Service, bucket: str) -> None:
        made = self.create(service, f"s3://{bucket}/open/pets/").json()
        assert [(split["name"], split["images"]) for split in made["splits"]] == [
            ("train", 4),
            ("test", 4),
        ]
        assert made["templates"] == ["a {}."]
        again = self.create(service, f"s3://{bucket}/open/pets/").json()
        assert again["id"] == made["id"]
        sheet = service.client.get(f"/v1/datasets/{made['id']}/contact-sheet?split=train")
        with Image.open(io.BytesIO(sheet.content)) as picture:
            assert picture.format == "JPEG"
        assert spooled(service) == []

    def test_of_what_nobody_allowed(self, service: Service, bucket: str) -> None:
        for key in ("shut/flowers.zip", "open-not/flowers.zip", "ope", "lipsum/files/x"):
            for name in (bucket, "store-of-service"):
                answer = self.create(service, f"s3://{name}/{key}")
                assert error_of(answer) == (403, "source_not_allowed", "source")

    def test_of_what_is_not_there(self, service: Service, bucket: str) -> None:
        for source in (f"{bucket}/open/none.zip", f"{bucket}/open/none/", "other-bucket/a.zip"):
            answer = self.create(service, f"s3://{source}")
            assert error_of(answer) == (404, "not_found", "source")
        assert spooled(service) == []

    def test_of_what_is_no_dataset(self, service: Service, bucket: str) -> None:
        for key, code in (("text.zip", "not_an_archive"), ("broken/", "image_outside_class")):
            answer = self.create(service, f"s3://{bucket}/open/{key}")
            assert error_of(answer) == (400, code, "source")
        assert spooled(service) == []

    def test_of_more_than_is_accepted(
        self, bucket: str, s3_server: S3Server, tmp_path: Path
    ) -> None:
        with open_service(
            tmp_path,
            import_prefixes=f"s3://{bucket}/open",
            max_file_bytes=300,
            **s3_server.settings(),
        ) as small:
            for key in ("flowers.zip", "pets/"):
                answer = self.create(small, f"s3://{bucket}/open/{key}")
                assert error_of(answer)[:2] == (413, "file_too_large")
            assert small.leftovers() == []

    def test_with_a_wrong_secret(self, bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
        wrong = {**s3_server.settings(), "s3_secret_access_key": "wrong"}
        with open_service(tmp_path, import_prefixes=f"s3://{bucket}", **wrong) as other:
            answer = self.create(other, f"s3://{bucket}/open/flowers.zip")
            assert answer.status_code == 507
            assert "wrong" not in answer.text
            assert s3_server.endpoint not in answer.text


def test_an_upload_in_parts(service: Service) -> None:
    data = zip_of({f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) + bytes(n) for n in range(40)})
    body = {"bytes": len(data), "filename": "a.zip", "mime_type": "x", "purpose": "fine-tune"}
    upload = service.client.post("/v1/uploads", json=body).json()["id"]
    for number, start in enumerate(range(0, len(data), 3000), start=1):
        answer = service.client.post(
            f"/v1/uploads/{upload}/parts",
            files={"data": data[start : start + 3000]},
            data={"part_number": number},
        )
        assert answer.status_code == 200, answer.text
    done = service.client.post(
        f"/v1/uploads/{upload}/complete", json={"md5": hashlib.md5(data).hexdigest()}
    ).json()
    file = done["file"]
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert service.client.get(f"/v1/files/{file['id']}/content").content == data
    part = service.client.get(f"/v1/files/{file['id']}/content", headers={"range": "bytes=100-199"})
    assert part.content == data[100:200]
    assert spooled(service) == []


def test_a_large_file_is_stored_in_parts_of_its_own(service: Service, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4 * 20_000
    assert len(data) > 2 * PART_BYTES
    file = service.upload(data, "user_data")
    assert service.client.get(f"/v1/files/{file['id']}/content").content == data


def test_a_taken_file_is_copied(s3_server: S3Server, tmp_path: Path) -> None:
    s3_server.make_bucket("taken")
    settings = Settings(object_store_url="s3://taken/x", **s3_server.settings())
    store = ObjectStore.from_settings(settings)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    store.take_file("a/b", path, hashlib.sha256(b"content").hexdigest())
    assert store.read_bytes("a/b") == b"content"
    assert store.local_path("a/b") is None
