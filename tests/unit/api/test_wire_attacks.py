"""Attacks on who may ask, as bytes on a socket: a client library would tidy them up.

Each test is named after what went wrong elsewhere; `PYSEC` and `CVE` numbers are of others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.records import audit
from core.settings import Settings
from tests.live_api import LiveApi, Reply, live_api


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    with live_api(tmp_path_factory.mktemp("live")) as running:
        yield running


def request(
    live: LiveApi, target: str, *lines: str, method: str = "GET", host: str | None = None
) -> Reply:
    """With the admin's key and a Host header of ours, unless another is given."""
    host = f"127.0.0.1:{live.port}" if host is None else host
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {live.key}"]
    return live.raw("\r\n".join([*head, "Connection: close", *lines, "", ""]).encode("latin-1"))


def code(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"]["code"])


def test_the_harness_gets_through(live: LiveApi) -> None:
    assert request(live, "/v1/models").status == 200


@pytest.mark.parametrize(
    "target",
    [
        "@evil.example",
        "@evil.example/v1/models",
        "http://evil.example/v1/models",
        "http://127.0.0.1/v1/models",
        "evil.example:80",
        "*",
        "v1/models",
        "%2fv1/models",
        "..",
    ],
)
def test_cve_2026_54282_a_target_that_is_no_path(live: LiveApi, target: str) -> None:
    """Starlette glued Host and target together: `@evil.example` made Host a user's name."""
    reply = request(live, target)
    assert (reply.status, code(reply)) == (400, "invalid_target")
    assert reply.header("location") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "127.0.0.1.evil.example",
        "localhost, evil.example",
        "127.0.0.1 evil.example",
        "",
    ],
)
def test_dns_rebinding_a_host_that_is_not_ours(live: LiveApi, host: str) -> None:
    reply = request(live, "/v1/models", host=host)
    assert reply.status in (400, 403)
    if reply.status == 403:
        assert code(reply) == "host_not_allowed"


def test_two_hosts_and_none_are_refused(live: LiveApi) -> None:
    assert request(live, "/v1/models", "Host: evil.example").status == 400
    without = f"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer {live.key}\r\n\r\n"
    assert live.raw(without.encode()).status == 400
    old = f"GET /v1/models HTTP/1.0\r\nAuthorization: Bearer {live.key}\r\n\r\n"
    assert live.raw(old.encode()).status == 403  # HTTP/1.0 need not name a host; ours must be named


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_cve_2026_27482_a_foreign_page_with_any_verb(live: LiveApi, method: str) -> None:
    reply = request(
        live, "/v1/files/file-1", "Origin: https://evil.example", "Content-Length: 0", method=method
    )
    assert (reply.status, code(reply)) == (403, "origin_not_allowed")


@pytest.mark.parametrize("method", ["delete", "Delete", "GETX", "TRACE", "CONNECT"])
def test_verbs_that_are_no_verbs_open_nothing(live: LiveApi, method: str) -> None:
    reply = request(live, "/v1/files/file-1", "Origin: https://evil.example", method=method)
    assert reply.status in (400, 403, 405)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/<script>alert(1)</script>",
        "/v1/models?limit=<script>alert(1)</script>",
        "/v1/files/%3Cscript%3Ealert(1)%3C/script%3E",
        "/v1/audit?after=<img+src=x>",
    ],
)
def test_cve_2023_6568_a_fault_is_json_that_no_browser_sniffs(live: LiveApi, target: str) -> None:
    """MLflow reflected the Content-Type into an HTML page."""
    reply = request(live, target, "Content-Type: text/html<script>alert(1)</script>")
    assert 400 <= reply.status < 500
    assert reply.header("content-type") == "application/json"
    assert reply.header("x-content-type-options") == "nosniff"
    json.loads(reply.body)


@pytest.mark.parametrize(
    "line",
    [
        "X-Request-Id: req-mine\r\nX-Evil: 1",
        "X-Request-Id: a\rb",
        "X-Request-Id: a\nSet-Cookie: evil=1",
        "X-Request-Id : a",
        " folded",
    ],
)
def test_header_injection_by_what_a_client_sends(live: LiveApi, line: str) -> None:
    reply = request(live, "/v1/models", line)
    assert reply.status in (200, 400)
    assert reply.header("set-cookie") is None
    assert reply.header("x-evil") is None
    assert "mine" not in (reply.header("x-request-id") or "")


def test_header_injection_by_what_a_client_stored(live: LiveApi) -> None:
    """A file's name comes back in Content-Disposition."""
    name = 'a"; filename=evil\r\nSet-Cookie: evil=1\r\n\r\n<script>.png'
    created = live.openai().files.create(file=(name, b"x"), purpose="user_data")
    reply = request(live, f"/v1/files/{created.id}/content")
    assert reply.status == 200
    assert reply.header("set-cookie") is None
    disposition = reply.header("content-disposition") or ""
    assert disposition.startswith('attachment; filename="')
    assert not set(disposition[22:-1]) & set('"\r\n;<>')


def test_header_injection_by_a_key(live: LiveApi) -> None:
    """No answer repeats a key, right or wrong."""
    wrong = "lipsum-guess"
    reply = live.raw(
        f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {wrong}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert reply.status == 401
    assert wrong.encode() not in reply.body
    assert wrong not in str(reply.headers)


def test_cve_2023_48022_nobody_but_this_machine_is_asked_in(tmp_path: Path) -> None:
    """ShadowRay: a job API without keys on every address. Ours binds to loopback by default."""
    settings = Settings(data_dir=tmp_path)
    assert (settings.host, settings.serving_host) == ("127.0.0.1", "127.0.0.1")


def test_bound_to_every_address_it_answers_this_machine_by_a_name_of_its_own(
    tmp_path: Path,
) -> None:
    with live_api(tmp_path, host="0.0.0.0") as live:
        by_default = httpx.get(f"{live.settings.local_address}/healthz")
        assert by_default.status_code == 200
        # "0.0.0.0 day": a page could ask for that address and be answered by this machine
        assert request(live, "/healthz", host=f"0.0.0.0:{live.port}").status == 403


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("2001:db8::7", "http://[2001:db8::7]:8000"),
        ("lipsum.example", "http://lipsum.example:8000"),
    ],
)
def test_where_programs_on_this_machine_find_it(host: str, address: str) -> None:
    assert Settings(host=host).local_address == address


def test_where_from_is_what_the_socket_says(live: LiveApi) -> None:
    """The audit log does not believe X-Forwarded-For of who is not a trusted proxy."""
    body = '{"name": "spoofed"}'
    reply = live.raw(
        f"POST /v1/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {live.key}\r\n"
        f"X-Forwarded-For: 203.0.113.9\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}".encode()
    )
    assert reply.status == 200
    assert _address(live, str(json.loads(reply.body)["id"])) == "127.0.0.1"


def test_where_from_is_what_a_trusted_proxy_says(tmp_path: Path) -> None:
    with live_api(tmp_path, trusted_proxies="127.0.0.1") as live:
        body = '{"name": "proxied"}'
        reply = live.raw(
            f"POST /v1/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {live.key}\r\n"
            f"X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}".encode()
        )
        # The last is who spoke to the proxy; what stands before it anybody may have written.
        assert _address(live, str(json.loads(reply.body)["id"])) == "203.0.113.9"


def _address(live: LiveApi, project_id: str) -> str | None:
    with live.database.read() as session:
        (line,) = audit.list_lines(session, project_id).items
    return line.address
