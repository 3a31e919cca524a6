"""Names the service answers to, and pages that may change something."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.origin import allowed_hosts, host_name
from tests.api_service import Service, make_settings, open_service

METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "QUERY")


def test_loopback_names_and_the_address_it_binds_to_are_its_own(tmp_path: Path) -> None:
    own = {"localhost", "127.0.0.1", "::1"}
    assert allowed_hosts(make_settings(tmp_path)) == own
    assert allowed_hosts(make_settings(tmp_path, host="192.0.2.1")) == own | {"192.0.2.1"}
    for anywhere in ("0.0.0.0", "::"):
        assert allowed_hosts(make_settings(tmp_path, host=anywhere)) == own
    named = make_settings(tmp_path, allowed_hosts="Lipsum.example, api:8000 ,[2001:DB8::1]")
    assert allowed_hosts(named) == own | {"lipsum.example", "api", "2001:db8::1"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:8000", "localhost"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("", None),
        ("127.0.0.1:x", None),
        ("127.0.0.1:8000:1", None),
        ("127.0.0.1@evil.example", None),
        ("evil.example/127.0.0.1", None),
        ("127.0.0.1 evil.example", None),
        ("127.0.0.1,evil.example", None),
        ("localhost\t", None),
        ("localhost\n", None),
        ("[::1", None),
        ("::1", None),
    ],
)
def test_a_host_is_a_name_and_perhaps_a_port(header: str, name: str | None) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "2130706433"]
)
def test_a_name_that_was_made_to_resolve_here_is_refused(service: Service, host: str) -> None:
    """DNS rebinding: the browser thinks that it talks to the page's own host."""
    for path in ("/healthz", "/v1/models", "/v1/nothing"):
        answer = service.client.get(path, headers={"host": f"{host}:8000"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", METHODS)
def test_a_foreign_page_changes_nothing(service: Service, method: str) -> None:
    """CVE-2026-27482 (Ray): the filter knew POST and PUT and forgot DELETE."""
    file = service.upload(b"x", "user_data", "a.txt")
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1:8001",
        "http://127.0.0.1",
        "http://localhost:8000",  # another host than was asked, though it is this machine
        "https://127.0.0.1:8000.evil.example",
        "http://127.0.0.1:8000/",
        "",
    ):
        answer = service.client.request(
            method, f"/v1/files/{file['id']}", headers={"origin": origin}
        )
        assert answer.status_code == 403, origin
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert service.client.get(f"/v1/files/{file['id']}").status_code == 200


def test_the_services_own_pages_and_programs_may(service: Service) -> None:
    for headers in ({"origin": "http://127.0.0.1:8000"}, {"origin": "HTTP://127.0.0.1:8000"}, {}):
        file = service.upload(b"x", "user_data", "a.txt")
        answer = service.client.delete(f"/v1/files/{file['id']}", headers=headers)
        assert answer.status_code == 200


def test_reading_is_open_to_every_page_that_has_a_key(service: Service) -> None:
    answer = service.client.get("/v1/models", headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers  # a browser shows it to no page


def test_what_the_operator_named_may(tmp_path: Path) -> None:
    named = {"allowed_hosts": "lipsum.example", "allowed_origins": "https://Pages.example"}
    with open_service(tmp_path, **named) as service:
        by_name = {"host": "lipsum.example"}
        assert service.client.get("/v1/models", headers=by_name).status_code == 200
        for origin, status in (
            ("https://lipsum.example", 404),
            ("https://pages.example", 404),
            ("http://pages.example", 403),
            ("https://pages.example:444", 403),
            ("https://evil.example", 403),
        ):
            sent = {**by_name, "origin": origin}
            assert service.client.delete("/v1/files/f", headers=sent).status_code == status


def test_two_origins_are_one_too_many(service: Service) -> None:
    both = [("origin", "http://127.0.0.1:8000"), ("origin", "https://evil.example")]
    answer = service.client.request("DELETE", "/v1/files/f", headers=both)
    assert answer.status_code == 403
