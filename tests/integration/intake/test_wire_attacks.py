"""What no decent client would send, byte by byte, to the API on a real port.

Each must be answered quickly with a refusal in the one shape, leave nothing behind, and leave the
process serving others. tests/attacks.md says which attack each test stands for.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from api.context import DRAIN_SECONDS
from tests.api_process import ApiProcess
from tests.api_service import dataset

SECONDS = 5.0  # in which any of these must be answered; on an idle machine it takes milliseconds
FORM = "content-type: multipart/form-data; boundary=line\r\n"
DISPOSITION = b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
PURPOSE = b'--line\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
END = b"\r\n--line--\r\n"


@pytest.fixture(autouse=True)
def _still_serves(api: ApiProcess) -> Iterator[None]:
    yield
    assert api.process.poll() is None
    with api.http() as http:
        assert http.get("/v1/models").status_code == 200
    assert list(api.settings.spool_directory.glob("*")) == []


def send(
    api: ApiProcess, head: str, *body: bytes, seconds: float = SECONDS
) -> tuple[int, str, bytes]:
    """Status, headers and body of the answer to exactly these bytes, with a valid key."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=30) as connection:
        line, _, rest = head.partition("\r\n")
        host = "" if "host:" in head.lower() else "host: 127.0.0.1\r\n"
        authorization = f"authorization: Bearer {api.key}\r\n"
        whole = f"{line}\r\n{host}{authorization}connection: close\r\n{rest}\r\n"
        try:
            connection.sendall(whole.encode("latin-1"))
            for piece in body:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before it was all sent
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionResetError:
            pass
    assert time.monotonic() - started < seconds
    assert answer, "there was no answer"
    headers, _, content = answer.partition(b"\r\n\r\n")
    return int(headers.split()[1]), headers.decode("latin-1").lower(), content


def refused(
    api: ApiProcess, status: int, code: str, head: str, *body: bytes, seconds: float = SECONDS
) -> str:
    """The sentence of the refusal."""
    found, headers, content = send(api, head, *body, seconds=seconds)
    error = json.loads(content)["error"]
    assert (found, error["code"]) == (status, code), error
    assert "content-type: application/json" in headers
    assert "x-content-type-options: nosniff" in headers
    return str(error["message"])


def post(length: int | str, more: str = FORM) -> str:
    return f"POST /v1/files HTTP/1.1\r\n{more}content-length: {length}\r\n"


class TestFraming:
    @pytest.mark.parametrize("length", ["-1", "-99999999999999999999", "1e3", "0x10", "", "１"])
    def test_a_length_that_is_none(self, api: ApiProcess, length: str) -> None:
        """PYSEC-2026-3040: negative Content-Length."""
        head = f"POST /v1/files HTTP/1.1\r\n{FORM}content-length: ".encode() + length.encode()
        status, _, _ = send(api, head.decode("latin-1") + "\r\n", b"--line")
        assert status == 400

    def test_two_lengths(self, api: ApiProcess) -> None:
        status, _, _ = send(api, post(6) + "content-length: 600\r\n", b"--line")
        assert status == 400

    def test_a_length_and_chunks(self, api: ApiProcess) -> None:
        """Request smuggling: the chunked body counts, and nothing after it is a request."""
        smuggled = b"0\r\n\r\nGET /v1/files HTTP/1.1\r\nhost: x\r\n\r\n"
        status, _, content = send(api, post(3) + "transfer-encoding: chunked\r\n", smuggled)
        assert status == 400
        assert content.count(b"HTTP/1.1") == 0

    def test_chunks_that_are_none(self, api: ApiProcess) -> None:
        head = f"POST /v1/files HTTP/1.1\r\n{FORM}transfer-encoding: chunked\r\n"
        for body in (b"-5\r\nhello\r\n", b"zz\r\n", b"FFFFFFFFFFFFFFFFFFFFFF\r\nx"):
            status, _, _ = send(api, head, body)
            assert status == 400

    def test_more_than_the_limit_declared(self, api: ApiProcess) -> None:
        size = api.settings.max_file_bytes + (1 << 20)
        # The service waits a while for the body it was promised, lest a client never see why.
        seconds = DRAIN_SECONDS + SECONDS
        message = refused(api, 413, "file_too_large", post(size), b"--line", seconds=seconds)
        assert str(api.settings.max_file_bytes) in message

    def test_a_header_without_end(self, api: ApiProcess) -> None:
        head = "GET /v1/files HTTP/1.1\r\nx-a: " + "a" * (1 << 20) + "\r\n"
        status, _, _ = send(api, head)
        assert status in (400, 431)

    def test_ten_thousand_headers(self, api: ApiProcess) -> None:
        head = "GET /v1/files HTTP/1.1\r\n" + "x-a: b\r\n" * 10_000
        status, _, _ = send(api, head)
        assert status in (200, 400, 431)


class TestMultipart:
    def test_a_boundary_over_seventy_bytes(self, api: ApiProcess) -> None:
        """CVE-2024-9056."""
        more = f"content-type: multipart/form-data; boundary={'b' * 71}\r\n"
        message = refused(api, 400, "invalid_multipart", post(10, more), b"-" * 10)
        assert "71" in message

    def test_a_boundary_of_dashes_that_nearly_matches(self, api: ApiProcess) -> None:
        """Each byte of the body could begin the boundary: parsing must stay linear."""
        more = f"content-type: multipart/form-data; boundary={'-' * 70}\r\n"
        body = b"-" * (8 << 20)
        refused(api, 400, "invalid_multipart", post(len(body), more), body)

    @pytest.mark.parametrize("filler", [b"\r\n", b"\r", b"junk "])
    def test_a_huge_preamble(self, api: ApiProcess, filler: bytes) -> None:
        """PYSEC-2026-3038: bytes before the first boundary."""
        body = filler * ((20 << 20) // len(filler)) + PURPOSE + DISPOSITION + b"x" + END
        refused(api, 400, "invalid_multipart", post(len(body)), body)

    def test_a_huge_epilogue(self, api: ApiProcess) -> None:
        body = PURPOSE + DISPOSITION + b"x" + END + b"z" * (20 << 20)
        refused(api, 400, "invalid_multipart", post(len(body)), body)

    def test_a_flood_of_part_headers(self, api: ApiProcess) -> None:
        """PYSEC-2026-3039."""
        body = b"--line\r\n" + b"x-a: b\r\n" * 200_000 + b"\r\nx" + END
        refused(api, 400, "invalid_multipart", post(len(body)), body)

    def test_a_part_header_without_end(self, api: ApiProcess) -> None:
        body = b"--line\r\nContent-Disposition: form-data; name=" + b"a" * (20 << 20)
        refused(api, 400, "invalid_multipart", post(len(body)), body)

    def test_a_field_of_ten_megabytes(self, api: ApiProcess) -> None:
        """CVE-2024-47874."""
        body = b'--line\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n' + b"p" * (
            10 << 20
        )
        refused(api, 413, "field_too_large", post(len(body)), body)

    def test_a_hundred_thousand_parts(self, api: ApiProcess) -> None:
        body = PURPOSE * 100_000 + END
        refused(api, 400, "invalid_multipart", post(len(body)), body)

    @pytest.mark.parametrize(
        "name",
        [
            b"name*=utf-8''file; filename=a",
            b"name*0=fi; name*1=le; filename=a",
            b"name*0*=utf-8''f%69le",
            b"filename*=utf-8''..%2f..%2fetc%2fpasswd; name=\"other\"",
        ],
    )
    def test_names_of_rfc_2231(self, api: ApiProcess, name: bytes) -> None:
        """PYSEC-2026-3041. RFC 7578, 4.2 forbids them: they name nothing."""
        body = PURPOSE + b"--line\r\nContent-Disposition: form-data; " + name + b"\r\n\r\nx" + END
        refused(api, 400, "unknown_field", post(len(body)), body)

    def test_a_file_name_of_rfc_2231_is_passed_over(self, api: ApiProcess) -> None:
        extended = (
            b'--line\r\nContent-Disposition: form-data; name="file"; filename="mine.bin"; '
            b"filename*=utf-8''..%2f..%2fetc%2fpasswd\r\n\r\nx"
        )
        body = PURPOSE + extended + END
        status, _, content = send(api, post(len(body)), body)
        assert (status, json.loads(content)["filename"]) == (200, "mine.bin")

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            (b"..\\..\\evil.exe", "evil.exe"),
            (b"../../etc/passwd", "passwd"),
            (b"..%2f..%2fetc", "..%2f..%2fetc"),
            (b"a\x00b.zip", "ab.zip"),
            (b"a\xe2\x80\xaegpj.zip", "agpj.zip"),
            (b"C:\\x", "x"),
            (b"..", ".."),
        ],
    )
    def test_a_file_name_is_a_name(self, api: ApiProcess, sent: bytes, kept: str) -> None:
        head = b'--line\r\nContent-Disposition: form-data; name="file"; filename="'
        body = PURPOSE + head + sent + b'"\r\n\r\nx' + END
        status, _, content = send(api, post(len(body)), body)
        assert (status, json.loads(content)["filename"]) == (200, kept)
        # And in the header of its download it can end neither the quotation nor the header.
        file_id = json.loads(content)["id"]
        status, headers, _ = send(api, f"GET /v1/files/{file_id}/content HTTP/1.1\r\n")
        assert status == 200
        [line] = [line for line in headers.split("\r\n") if "content-disposition" in line]
        assert line.count('"') == 2
        assert "/" not in line
        assert "\\" not in line

    @pytest.mark.parametrize(
        "kind", ["<script>alert(1)</script>", 'multipart/form-data; boundary="<b>"']
    )
    def test_a_content_type_is_not_reflected_as_a_page(self, api: ApiProcess, kind: str) -> None:
        """CVE-2023-6568."""
        refused_code = "invalid_content_type" if "script" in kind else "invalid_multipart"
        refused(api, 400, refused_code, post(1, f"content-type: {kind}\r\n"), b"x")


class TestRanges:
    def test_ten_thousand_ranges(self, api: ApiProcess) -> None:
        """CVE-2025-62727: answered at once, whole and once."""
        content = dataset()
        file_id = api.openai().files.create(file=("r.bin", content), purpose="user_data").id
        path = f"GET /v1/files/{file_id}/content HTTP/1.1\r\n"
        for ranges in (
            ",".join(f"{n}-{n}" for n in range(10_000)),
            "0-," * 10_000,
            ",".join(["-1"] * 10_000),
            " " * 50_000 + "0-1",
            "0-" + "9" * 10_000,
        ):
            started = time.monotonic()
            status, _, found = send(api, f"{path}range: bytes={ranges}\r\n")
            if status == 200:
                assert found == content
            else:
                assert status in (400, 431)  # a header that large is refused as such
            assert time.monotonic() - started < 2


TRAVERSALS = [
    "..",
    "../..",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cwindows",
    "..\\..\\windows",
    "%c0%ae%c0%ae/etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cwindows",
    "file:///etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "a%00b",
    "a%0d%0ax-evil:%201",
    "a%23b",
    "a%3fb",
    "%",
    "%zz",
    "%ff",
    "." * 3000,
    "%2e" * 3000,
    "lipsum.db",
    "..;/",
    "%e2%80%a5",
]
ROUTES = [
    ("GET", "/v1/files/{}"),
    ("GET", "/v1/files/{}/content"),
    ("DELETE", "/v1/files/{}"),
    ("GET", "/v1/uploads/{}"),
    ("GET", "/v1/uploads/{}/parts"),
    ("POST", "/v1/uploads/{}/cancel"),
    ("GET", "/v1/datasets/{}"),
    ("GET", "/v1/datasets/{}/contact-sheet?split=train"),
    ("GET", "/v1/datasets/x/contact-sheet?split={}"),
    ("GET", "/v1/datasets?filename={}"),
    ("GET", "/v1/files?after={}"),
    ("GET", "/v1/models/{}"),
    ("DELETE", "/v1/models/{}"),
    ("GET", "/v1/models/{}/weights"),
    ("GET", "/v1/models/x/files/{}"),
    ("GET", "/v1/fine_tuning/jobs/{}"),
    ("GET", "/{}"),
    ("GET", "/v1/{}"),
]


class TestPaths:
    """MLflow's and others' traversals (CVE-2023-1177 to CVE-2024-1560, CVE-2023-29159)."""

    @pytest.mark.parametrize("evil", TRAVERSALS)
    def test_nothing_outside_is_reached(self, api: ApiProcess, evil: str) -> None:
        for method, route in ROUTES:
            status, headers, content = send(
                api, f"{method} {route.format(evil)} HTTP/1.1\r\ncontent-length: 0\r\n"
            )
            assert status in (200, 400, 404, 405), (route, evil, status, content)
            assert b"root:" not in content
            assert "x-evil" not in headers
            if status == 200:  # a list without what was asked for, or the folder above
                assert json.loads(content)["object"] in ("list", "model")

    @pytest.mark.parametrize(
        "target",
        [
            "http://evil.example/v1/files",
            "@evil.example",
            "//evil.example/v1/files",
            "http://evil.example@127.0.0.1/",
            "*",
        ],
    )
    def test_another_host_in_the_target(self, api: ApiProcess, target: str) -> None:
        """CVE-2026-54282."""
        status, headers, _ = send(api, f"GET {target} HTTP/1.1\r\n")
        assert status in (400, 404)
        assert "location" not in headers
        assert status == 400 or "application/json" in headers

    def test_a_request_that_is_none(self, api: ApiProcess) -> None:
        for line in ("GET", "GET /v1/files", "\x16\x03\x01\x02"):
            status, _, _ = send(api, f"{line}\r\n")
            assert status == 400
