"""What is in the archives that were uploaded, and datasets made of single images."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.records import datasets
from tests.api_service import Service, add_key, dataset, png, zip_of
from tests.unit.datasets.trees import as_tar


def uploaded(service: Service, data: bytes, **options: Any) -> str:
    """The id of the dataset in an archive."""
    return str(service.upload(data, **options)["dataset"]["version"])


def get(service: Service, version: str) -> dict[str, Any]:
    answer = service.client.get(f"/v1/datasets/{version}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def error_of(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_before_the_check_it_says_what_the_names_say(service: Service) -> None:
    data = zip_of(
        {
            **{f"train/{name}/{n}.png": png(n) for name in ("cat", "Dog") for n in range(3)},
            "night/cat/1.png": png(9),
            "night/owl/readme.txt": b"no image",
            "classes.json": b'{"names": {"cat": "tabby", "Dog": "hound"}, "templates": ["{}"]}',
            "groups.csv": b"file,group\ntrain/cat/0.png,indoors\n",
        }
    )
    file = service.upload(data, filename="pets.zip")
    found = get(service, file["dataset"]["version"])
    assert found == {
        "id": hashlib.sha256(data).hexdigest(),
        "object": "dataset",
        "created_at": found["created_at"],
        "filename": "pets.zip",
        "files": [file["id"]],
        "bytes": len(data),
        "format": "zip",
        "status": "unchecked",
        "checked_at": None,
        "images": 7,
        "classes": ["cat", "Dog"],
        "readable_names": ["tabby", "hound"],
        "templates": ["{}"],
        "groups": ["indoors"],
        "splits": [
            {
                "name": "train",
                "images": 6,
                "classes": [{"name": "cat", "images": 3}, {"name": "Dog", "images": 3}],
                "empty_classes": [],
                "groups": [],
            },
            {
                "name": "night",
                "images": 1,
                "classes": [{"name": "cat", "images": 1}],
                "empty_classes": ["owl"],
                "groups": [],
            },
        ],
        "ignored": ["night/owl/readme.txt"],
        "ignored_count": 1,
        "rejected": None,
        "rejected_count": None,
        "duplicates": None,
    }


def test_after_the_check_it_says_what_was_found(service: Service) -> None:
    version = uploaded(service, dataset(seed=500))
    duplicates = {
        "across_splits_count": 1,
        "across_splits": [["train/cat/0.png", "test/cat/0.png"]],
        "conflicting_labels_count": 0,
        "conflicting_labels": [],
        "repeated_count": 2,
    }
    summary = {
        "images": 35,
        "classes": 3,
        "splits": {
            "train": {
                "images": 11,
                "classes": {"cat": 3, "dog": 4, "owl": 4},
                "groups": {"day": 2},
            },
            "test": {"images": 12, "classes": {"cat": 4, "dog": 4, "owl": 4}, "groups": {}},
            "sketch": {"images": 12, "classes": {"cat": 4, "dog": 4, "owl": 4}, "groups": {}},
        },
        "rejected_count": 1,
        "rejected": [{"file": "train/cat/3.png", "reason": "It is damaged."}],
        "duplicates": duplicates,
    }
    with service.database.write() as session:
        datasets.mark_checked(session, service.project_id, version, "index", summary)
    found = get(service, version)
    assert (found["status"], found["images"], found["rejected_count"]) == ("checked", 35, 1)
    assert found["checked_at"] >= found["created_at"]
    assert found["rejected"] == summary["rejected"]
    assert found["duplicates"] == duplicates
    assert found["splits"][0]["classes"][0] == {"name": "cat", "images": 3}
    assert found["splits"][0]["groups"] == [{"name": "day", "images": 2}]


def test_a_list_has_the_versions_of_a_name(fresh: Service) -> None:
    first = uploaded(fresh, dataset(seed=1), filename="pets.zip")
    other = uploaded(fresh, dataset(seed=2), filename="birds.zip")
    second = uploaded(fresh, dataset(seed=3), filename="pets.zip")
    page = fresh.client.get("/v1/datasets").json()
    assert [item["id"] for item in page["data"]] == [second, other, first]
    assert page["data"][0]["splits"] == ["train", "test", "sketch"]
    assert page["data"][0]["classes"] == 3
    named = fresh.client.get("/v1/datasets", params={"filename": "pets.zip"}).json()
    assert [item["id"] for item in named["data"]] == [second, first]
    short = fresh.client.get("/v1/datasets", params={"limit": 1}).json()
    assert short["has_more"]
    rest = fresh.client.get("/v1/datasets", params={"after": short["last_id"]}).json()
    assert [item["id"] for item in rest["data"]] == [other, first]


def test_it_is_there_as_long_as_a_file_holds_it(fresh: Service) -> None:
    data = dataset()
    files = [fresh.upload(data, filename=name)["id"] for name in ("a.zip", "b.zip")]
    version = hashlib.sha256(data).hexdigest()
    assert get(fresh, version)["files"] == files[::-1]
    assert get(fresh, version)["filename"] == "b.zip"
    fresh.client.delete(f"/v1/files/{files[1]}")
    assert get(fresh, version)["filename"] == "a.zip"
    fresh.client.delete(f"/v1/files/{files[0]}")
    for path in ("", "/contact-sheet?split=train"):
        gone = fresh.client.get(f"/v1/datasets/{version}{path}")
        assert error_of(gone) == (404, "not_found", "dataset_id")
    assert fresh.client.get("/v1/datasets").json()["data"] == []


def test_anothers_dataset_does_not_exist(service: Service) -> None:
    version = uploaded(service, dataset(seed=77))
    _, other = add_key(service.database, "other")
    headers = {"authorization": f"Bearer {other}"}
    for path in ("", "/contact-sheet?split=train"):
        foreign = service.client.get(f"/v1/datasets/{version}{path}", headers=headers)
        never = service.client.get(f"/v1/datasets/none{path}", headers=headers)
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(version, "none") == never.text
    assert service.client.get("/v1/datasets", headers=headers).json()["data"] == []


def _shard() -> bytes:
    return as_tar({f"{n}.{end}": png(n) if end == "png" else b"%d" % (n % 2)
                   for n in range(4) for end in ("png", "cls")})  # fmt: skip


def _table() -> bytes:
    rows = "".join(f"{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(4))
    images = {f"{n}.png": png(n) for n in range(4)}
    return zip_of({**images, "metadata.csv": f"file_name,label\n{rows}".encode()})


def _parquet() -> bytes:
    images = [{"bytes": png(n), "path": f"{n}.png"} for n in range(4)]
    out = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": ["cat", "dog"] * 2}), out)
    return out.getvalue()


def _zstandard() -> bytes:
    tar = as_tar({f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(4)})
    return bytes(pa.Codec("zstd").compress(tar, asbytes=True))


@pytest.mark.parametrize(
    ("make", "form"),
    [(_shard, "webdataset"), (_table, "csv"), (_parquet, "parquet"), (_zstandard, "tar.zst")],
)
def test_every_format_is_a_dataset_with_a_sheet(
    service: Service, make: Callable[[], bytes], form: str
) -> None:
    found = get(service, uploaded(service, make()))
    assert (found["format"], found["images"], len(found["classes"])) == (form, 4, 2)
    assert [split["name"] for split in found["splits"]] == ["train"]
    sheet = service.client.get(f"/v1/datasets/{found['id']}/contact-sheet?split=train")
    assert sheet.headers["content-type"] == "image/jpeg"


def test_what_brings_a_library_down_is_refused(service: Service) -> None:
    for start, code in ((b"PAR1", "archive_corrupt"), (b"\x28\xb5\x2f\xfd", "archive_corrupt")):
        answer = service.client.post(
            "/v1/files",
            data={"purpose": "fine-tune"},
            files={"file": ("a", start + b"\xff" * 2000 + start)},
        )
        assert error_of(answer) == (400, code, "file")


class TestContactSheets:
    def test_of_a_split(self, fresh: Service) -> None:
        version = uploaded(fresh, dataset())
        path = f"/v1/datasets/{version}/contact-sheet"
        first = fresh.client.get(path, params={"split": "sketch"})
        assert (first.status_code, first.headers["content-type"]) == (200, "image/jpeg")
        with Image.open(io.BytesIO(first.content)) as sheet:
            assert sheet.format == "JPEG"
            assert sheet.width > 1000
        again = fresh.client.get(path, params={"split": "sketch"})
        assert again.content == first.content
        assert again.headers["etag"] == first.headers["etag"]
        unchanged = {"if-none-match": first.headers["etag"]}
        assert (
            fresh.client.get(path, params={"split": "sketch"}, headers=unchanged).status_code == 304
        )
        other = fresh.client.get(path, params={"split": "train"})
        assert other.headers["etag"] != first.headers["etag"]
        stored = [name for name in fresh.leftovers() if "contact-sheets" in name]
        assert len(stored) == 2

    def test_of_no_split(self, service: Service) -> None:
        version = uploaded(service, dataset())
        path = f"/v1/datasets/{version}/contact-sheet"
        answer = service.client.get(path, params={"split": "night"})
        assert error_of(answer) == (400, "unknown_split", "split")
        assert "train, test, sketch" in answer.json()["error"]["message"]
        assert error_of(service.client.get(path)) == (400, "invalid_request", "split")
        for split in ("../train", "%2e%2e", "train/../../x", "\x01"):
            assert service.client.get(path, params={"split": split}).status_code == 400

    def test_of_an_archive_that_is_missing(self, fresh: Service) -> None:
        version = uploaded(fresh, dataset())
        fresh.store.delete(f"files/{fresh.project_id}/{version}")
        answer = fresh.client.get(f"/v1/datasets/{version}/contact-sheet?split=train")
        assert error_of(answer) == (507, "storage_error", None)


class TestOfImages:
    def image(self, service: Service, data: bytes, **options: Any) -> str:
        return str(service.upload(data, purpose="vision", filename="i", **options)["id"])

    def create(self, service: Service, **body: Any) -> Any:
        return service.client.post("/v1/datasets", json=body)

    def test_labelled_images_become_a_dataset(self, fresh: Service) -> None:
        kinds = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
        images = []
        for number, kind in enumerate(kinds):
            out = io.BytesIO()
            Image.new("RGB", (9, 9), (number, 0, 0)).save(out, kind)
            images.append(self.image(fresh, out.getvalue()))
        labels = ["cat", "dog", "cat", "dog", "big cat"]
        splits = ["train", "train", "train", "train", "test"]
        listed = [
            {"file_id": file, "label": label, "split": split}
            for file, label, split in zip(images, labels, splits, strict=True)
        ]
        answer = self.create(fresh, images=listed, filename="pets.zip")
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert made["filename"] == "pets.zip"
        assert {split["name"]: split["images"] for split in made["splits"]} == {
            "train": 4,
            "test": 1,
        }
        file = fresh.client.get(f"/v1/files/{made['files'][0]}").json()
        assert (file["purpose"], file["dataset"]["version"]) == ("fine-tune", made["id"])
        again = self.create(fresh, images=listed, filename="pets.zip").json()
        assert again["id"] == made["id"]  # equal images, equal archive
        sheet = fresh.client.get(f"/v1/datasets/{made['id']}/contact-sheet?split=train")
        assert sheet.status_code == 200

    def test_an_image_is_an_image(self, service: Service) -> None:
        for data, purpose, code in (
            (b"GIF89a" + bytes(99), "vision", "unknown_image_format"),
            (b"", "vision", "unknown_image_format"),
            (png(), "fine-tune", "not_an_archive"),
        ):
            answer = service.client.post(
                "/v1/files", data={"purpose": purpose}, files={"file": ("a.png", data)}
            )
            assert error_of(answer) == (400, code, "file")

    def test_files_that_are_no_images_of_ours(self, service: Service) -> None:
        mine = self.image(service, png(1))
        notes = service.upload(b"notes", "user_data")["id"]
        _, other = add_key(service.database, "other")
        headers = {"authorization": f"Bearer {other}"}
        for file in (notes, "file-none"):
            listed = [{"file_id": mine, "label": "a"}, {"file_id": file, "label": "b"}]
            answer = self.create(service, images=listed)
            assert error_of(answer) == (400, "unknown_image", "images.1.file_id")
        foreign = service.client.post(
            "/v1/datasets", json={"images": [{"file_id": mine, "label": "a"}]}, headers=headers
        )
        assert error_of(foreign) == (400, "unknown_image", "images.0.file_id")

    @pytest.mark.parametrize(
        ("label", "code"),
        [
            ("../up", "path_traversal"),
            ("a/b", "mixed_layout"),
            ("a\\b", "backslash"),
            (" a", "class_name"),
            (".a", "hidden_folder"),
            ("a\u202e", "control_character"),
        ],
    )
    def test_labels_are_held_to_what_folders_are(
        self, fresh: Service, label: str, code: str
    ) -> None:
        listed = [
            {"file_id": self.image(fresh, png(number)), "label": name}
            for number, name in enumerate((label, "dog"))
        ]
        answer = self.create(fresh, images=listed)
        assert error_of(answer)[0] == 400
        assert error_of(answer)[2] == "images"
        assert error_of(answer)[1] == code or (label == "a/b" and "deep" in answer.text)

    def test_one_image_twice(self, fresh: Service) -> None:
        one = {"file_id": self.image(fresh, png()), "label": "a"}
        assert error_of(self.create(fresh, images=[one, one])) == (400, "duplicate_name", "images")

    @pytest.mark.parametrize(
        ("body", "code", "param"),
        [
            ({}, "images_or_source", "images"),
            (
                {"images": [{"file_id": "f", "label": "a"}], "source": "s3://a/b"},
                "images_or_source",
                "images",
            ),
            ({"images": []}, "invalid_request", "images"),
            ({"images": [{"file_id": "f", "label": ""}]}, "invalid_request", "images.0.label"),
            (
                {"images": [{"file_id": "f", "label": "a", "split": "a/b"}]},
                "invalid_request",
                "images.0.split",
            ),
            ({"source": "s3://a/b", "purpose": "user_data"}, "invalid_request", "purpose"),
        ],
    )
    def test_requests_that_mean_nothing(
        self, service: Service, body: dict[str, Any], code: str, param: str
    ) -> None:
        assert error_of(self.create(service, **body)) == (400, code, param)


class TestSources:
    """Without a server: what is refused before anything is read. With one: tests/integration."""

    @pytest.mark.parametrize(
        "source",
        [
            "http://169.254.169.254/latest/meta-data",
            "https://bucket.s3.amazonaws.com/a.zip",
            "file:///etc/passwd",
            "/etc/passwd",
            "gs://bucket/a.zip",
            "S3://bucket/a.zip",
            "s3://",
            "s3://bucket",
            "s3://bucket/",
            "s3:///a.zip",
            "s3://bucket/../other/a.zip",
            "s3://bucket/a/%2e%2e/b.zip",
            "s3://bucket//a.zip",
            "s3://user:password@bucket/a.zip",
            "s3://bucket/a.zip?versionId=1",
            "s3://bucket/a.zip#x",
            "s3://bucket/a\\b.zip",
            "s3://bucket/a.zip\n",
        ],
    )
    def test_other_addresses(self, service: Service, source: str) -> None:
        answer = service.client.post("/v1/datasets", json={"source": source})
        assert error_of(answer) == (400, "invalid_source", "source")

    def test_what_nobody_allowed(self, service: Service) -> None:
        answer = service.client.post("/v1/datasets", json={"source": "s3://bucket/a.zip"})
        assert error_of(answer) == (403, "source_not_allowed", "source")
