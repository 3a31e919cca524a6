"""Uploads, lists and downloads of files."""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api_service import Service, add_key, dataset, open_service, png, zip_of


def test_an_archive_is_stored_and_described(service: Service) -> None:
    data = dataset()
    file = service.upload(data)
    assert file["object"] == "file"
    assert file["bytes"] == len(data)
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert (file["filename"], file["purpose"], file["status"]) == (
        "images.zip",
        "fine-tune",
        "processed",
    )
    assert file["dataset"]["classes"] == 3
    assert file["dataset"]["splits"] == [
        {"name": "train", "images": 12, "classes": 3},
        {"name": "test", "images": 12, "classes": 3},
        {"name": "sketch", "images": 12, "classes": 3},
    ]
    assert service.client.get(f"/v1/files/{file['id']}").json() == file


def test_equal_content_is_stored_once(fresh: Service) -> None:
    data = dataset()
    first, second = fresh.upload(data), fresh.upload(data, filename="again.zip")
    assert first["id"] != second["id"]
    assert first["dataset"]["version"] == second["dataset"]["version"]
    assert len(fresh.leftovers()) == 1


def test_user_data_is_kept_unread(service: Service) -> None:
    file = service.upload(b"anything", purpose="user_data", filename="notes.txt")
    assert file["dataset"] is None
    assert service.client.get(f"/v1/files/{file['id']}/content").content == b"anything"


def test_fields_may_follow_the_file(service: Service) -> None:
    answer = service.client.post(
        "/v1/files",
        content=_form(("file", "a.zip", dataset()), ("purpose", None, b"fine-tune")),
        headers={"content-type": "multipart/form-data; boundary=line"},
    )
    assert answer.status_code == 200


def test_a_body_in_tiny_chunks_gives_the_same_file(service: Service) -> None:
    data = dataset()
    body = _form(("purpose", None, b"fine-tune"), ("file", "a.zip", data))

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answer = service.client.post(
        "/v1/files",
        content=chunks(),
        headers={"content-type": "multipart/form-data; boundary=line"},
    )
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\images.zip", "images.zip"),
        ("", "upload"),
        ("a" * 400 + ".zip", "a" * 251 + ".zip"),
    ],
)
def test_a_filename_is_a_name_and_no_path(service: Service, sent: str, kept: str) -> None:
    answer = service.client.post(
        "/v1/files",
        content=_form(("purpose", None, b"user_data"), ("file", sent, b"x")),
        headers={"content-type": "multipart/form-data; boundary=line"},
    )
    assert answer.json()["filename"] == kept


def test_pages_neither_skip_nor_repeat(fresh: Service) -> None:
    made = [fresh.upload(b"%d" % n, "user_data")["id"] for n in range(5)]
    fresh.upload(dataset())
    seen: list[str] = []
    after: str | None = None
    while True:
        params = {"purpose": "user_data", "limit": 2, "order": "asc"}
        page = fresh.client.get(
            "/v1/files", params=params | ({"after": after} if after else {})
        ).json()
        seen += [file["id"] for file in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert seen == made
    newest = fresh.client.get("/v1/files", params={"limit": 1}).json()
    assert newest["data"][0]["purpose"] == "fine-tune"
    assert newest["has_more"] is True


def test_a_deleted_file_is_gone(service: Service) -> None:
    file = service.upload(b"short-lived", "user_data")
    gone = service.client.delete(f"/v1/files/{file['id']}")
    assert gone.json() == {"id": file["id"], "object": "file", "deleted": True}
    for answer in (
        service.client.get(f"/v1/files/{file['id']}"),
        service.client.get(f"/v1/files/{file['id']}/content"),
        service.client.delete(f"/v1/files/{file['id']}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_another_projects_file_does_not_exist(service: Service) -> None:
    file = service.upload(b"mine", "user_data")
    _, other = add_key(service.database, "other")
    headers = {"authorization": f"Bearer {other}"}
    for path in (f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
        foreign = service.client.get(path, headers=headers)
        never = service.client.get(path.replace(file["id"], "file-none"), headers=headers)
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(file["id"], "file-none") == never.text


class TestDownloads:
    CONTENT = bytes(range(256)) * 10

    @pytest.fixture
    def path(self, service: Service) -> str:
        return f"/v1/files/{service.upload(self.CONTENT, 'user_data', 'bytes.bin')['id']}/content"

    def test_whole(self, service: Service, path: str) -> None:
        answer = service.client.get(path)
        assert answer.content == self.CONTENT
        assert answer.headers["etag"] == f'"{hashlib.sha256(self.CONTENT).hexdigest()}"'
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-length"] == str(len(self.CONTENT))
        assert answer.headers["content-disposition"] == 'attachment; filename="bytes.bin"'
        assert answer.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize(
        ("header", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=2500-", 2500, 2560),
            ("bytes=-10", 2550, 2560),
            ("bytes=-9999", 0, 2560),
            ("bytes=100-99999", 100, 2560),
        ],
    )
    def test_a_range(self, service: Service, path: str, header: str, start: int, end: int) -> None:
        answer = service.client.get(path, headers={"range": header})
        assert answer.status_code == 206
        assert answer.content == self.CONTENT[start:end]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2560"

    @pytest.mark.parametrize(
        "header",
        ["bytes=5-2", "bytes=0-1,4-5", "items=0-1", "bytes=-", "bytes=a-b", "bytes=0-1," * 9999],
    )
    def test_what_is_no_single_range_is_ignored(
        self, service: Service, path: str, header: str
    ) -> None:
        answer = service.client.get(path, headers={"range": header})
        assert (answer.status_code, answer.content) == (200, self.CONTENT)

    @pytest.mark.parametrize("header", ["bytes=2560-", "bytes=9999-10000", "bytes=-0"])
    def test_behind_the_end(self, service: Service, path: str, header: str) -> None:
        answer = service.client.get(path, headers={"range": header})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == "bytes */2560"
        assert answer.json()["error"]["code"] == "range_not_satisfiable"

    def test_conditions(self, service: Service, path: str) -> None:
        etag = service.client.get(path).headers["etag"]
        unchanged = service.client.get(path, headers={"if-none-match": f'"other", {etag}'})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        same = service.client.get(path, headers={"range": "bytes=0-1", "if-range": etag})
        assert same.status_code == 206
        other = service.client.get(path, headers={"range": "bytes=0-1", "if-range": '"other"'})
        assert other.status_code == 200


class TestRefusals:
    """Each leaves nothing behind: no spool file, no object, no row."""

    @pytest.fixture(autouse=True)
    def _leaves_nothing(self, fresh: Service) -> Iterator[None]:
        yield
        assert fresh.leftovers() == []
        assert fresh.client.get("/v1/files").json()["data"] == []

    def _refused(
        self, service: Service, status: int, code: str, param: str | None, **request: object
    ) -> str:
        answer = service.client.post("/v1/files", **request)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (code, param), error
        assert error["type"] == "invalid_request_error"
        return str(error["message"])

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "archive_empty"),
            (b"this is a text and no archive at all", "not_an_archive"),
            (b"PK\x05\x06" + bytes(18), "archive_empty"),
            (zip_of({"cat/1.png": png(), "../dog/1.png": png(1)}), "path_traversal"),
            (zip_of({"cat/1.png": png(), "/dog/1.png": png(1)}), "absolute_path"),
            (zip_of({"1.png": png(), "2.png": png(1)}), "image_outside_class"),
            (zip_of({"cat/readme.txt": b"no images here"}), "no_images"),
            (
                zip_of({"cat/1.png": png(), "groups.csv": b"file,group\ncat/2.png,a\n"}),
                "invalid_groups_csv",
            ),
        ],
    )
    def test_archives(self, fresh: Service, data: bytes, code: str) -> None:
        answer = fresh.client.post(
            "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.zip", data)}
        )
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (code, "file"), error

    @pytest.mark.parametrize(
        ("entries", "code"),
        [
            (
                [("cat/1.png", png()), ("cat/1.png", png(1)), ("dog/1.png", png(2))],
                "duplicate_name",
            ),
            (
                [("cat/a.png", png()), ("cat/A.png", png(1)), ("dog/1.png", png(2))],
                "case_collision",
            ),
            ([("cat/1.png", png()), ("dog/inner.zip", zip_of({"a": b"a"}))], "nested_archive"),
            ([("cat/1.png", bytes(5_000_000)), ("dog/1.png", png())], "compression_ratio"),
        ],
    )
    def test_crafted_archives(
        self, fresh: Service, entries: list[tuple[str, bytes]], code: str
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zipfile warns of the duplicate we want
            data = zip_of(entries)
        self._refused(
            fresh,
            400 if code != "compression_ratio" else 413,
            code,
            "file",
            data={"purpose": "fine-tune"},
            files={"file": ("a.zip", data)},
        )

    def test_links(self, fresh: Service) -> None:
        link = zipfile.ZipInfo("cat/2.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("cat/1.png", png())
            archive.writestr("dog/1.png", png(1))
            archive.writestr(link, "/etc/passwd")
        self._refused(
            fresh,
            400,
            "not_a_regular_file",
            "file",
            data={"purpose": "fine-tune"},
            files={"file": ("a.zip", out.getvalue())},
        )

    def test_an_archive_cut_off(self, fresh: Service) -> None:
        data = dataset()
        answer = fresh.client.post(
            "/v1/files",
            data={"purpose": "fine-tune"},
            files={"file": ("a.zip", data[: len(data) // 2])},
        )
        assert answer.status_code == 400

    def test_a_purpose_that_means_nothing_here(self, fresh: Service) -> None:
        message = self._refused(
            fresh,
            400,
            "unknown_purpose",
            "purpose",
            data={"purpose": "assistants"},
            files={"file": b"x"},
        )
        assert "'assistants'" in message
        assert "'fine-tune'" in message

    def test_missing_fields(self, fresh: Service) -> None:
        self._refused(fresh, 400, "missing_field", "purpose", files={"file": b"x"})
        self._refused(
            fresh,
            400,
            "missing_field",
            "file",
            content=_form(("purpose", None, b"fine-tune")),
            headers={"content-type": "multipart/form-data; boundary=line"},
        )

    def test_a_field_we_would_ignore(self, fresh: Service) -> None:
        self._refused(
            fresh,
            400,
            "unknown_field",
            "expires_after[anchor]",
            data={"purpose": "user_data", "expires_after[anchor]": "created_at"},
            files={"file": b"x"},
        )

    def test_a_field_without_end(self, fresh: Service) -> None:
        self._refused(
            fresh,
            413,
            "field_too_large",
            "purpose",
            data={"purpose": "p" * 5000},
            files={"file": b"x"},
        )

    def test_two_files(self, fresh: Service) -> None:
        self._refused(
            fresh,
            400,
            "invalid_multipart",
            "file",
            files=[("file", ("a", b"a")), ("file", ("b", b"b"))],
            data={"purpose": "user_data"},
        )

    @pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
    def test_no_form(self, fresh: Service, content_type: str) -> None:
        answer = fresh.client.post(
            "/v1/files", content=b"{}", headers={"content-type": content_type}
        )
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in ("invalid_content_type", "invalid_multipart")

    def test_a_form_cut_off(self, fresh: Service) -> None:
        message = self._refused(
            fresh,
            400,
            "invalid_multipart",
            None,
            content=_form(("purpose", None, b"user_data"), ("file", "a", b"x" * 5000))[:3000],
            headers={"content-type": "multipart/form-data; boundary=line"},
        )
        assert "cut off" in message

    def test_a_boundary_without_end(self, fresh: Service) -> None:
        self._refused(
            fresh,
            400,
            "invalid_multipart",
            None,
            content=b"--",
            headers={"content-type": f"multipart/form-data; boundary={'b' * 71}"},
        )

    def test_headers_without_end(self, fresh: Service) -> None:
        body = b"--line\r\n" + b"x-a: b\r\n" * 100 + b"\r\nx\r\n--line--\r\n"
        self._refused(
            fresh,
            400,
            "invalid_multipart",
            None,
            content=body,
            headers={"content-type": "multipart/form-data; boundary=line"},
        )

    def test_ten_thousand_parts(self, fresh: Service) -> None:
        parts = [("purpose", None, b"user_data")] * 10_000
        self._refused(
            fresh,
            400,
            "invalid_multipart",
            "purpose",
            content=_form(*parts),
            headers={"content-type": "multipart/form-data; boundary=line"},
        )


class TestSizes:
    def test_more_bytes_than_an_archive_may_unpack_to(self, tmp_path: Path) -> None:
        with open_service(tmp_path, max_archive_bytes=1000) as tight:
            answer = tight.client.post(
                "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.zip", dataset())}
            )
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (413, "archive_too_large")
            assert "1000" in error["message"]
            assert tight.leftovers() == []

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Service]:
        with open_service(tmp_path, max_file_bytes=10_000) as opened:
            yield opened

    @pytest.mark.parametrize("size", [10_001, 500_000])
    def test_over_the_limit(self, small: Service, size: int) -> None:
        answer = small.client.post(
            "/v1/files", data={"purpose": "user_data"}, files={"file": b"x" * size}
        )
        assert answer.status_code == 413
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("file_too_large", "file")
        assert "10000" in error["message"]
        assert small.leftovers() == []

    def test_over_the_limit_without_a_declared_length(self, small: Service) -> None:
        body = _form(("purpose", None, b"user_data"), ("file", "a", b"x" * 300_000))

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(body), 10_000):
                yield body[start : start + 10_000]

        answer = small.client.post(
            "/v1/files",
            content=chunks(),
            headers={"content-type": "multipart/form-data; boundary=line"},
        )
        assert answer.status_code == 413
        assert small.leftovers() == []

    def test_at_the_limit(self, small: Service) -> None:
        assert small.upload(b"x" * 10_000, "user_data")["bytes"] == 10_000


def _form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A multipart body with the boundary `line`, parts in the order given."""
    body = b""
    for name, filename, value in parts:
        named = "" if filename is None else f'; filename="{filename}"'
        body += f'--line\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()
        body += value + b"\r\n"
    return body + b"--line--\r\n"
