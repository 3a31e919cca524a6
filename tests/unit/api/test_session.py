"""A session is a further secret of a key: what ends the key ends it; no other site can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.auth import COOKIE
from core.records import audit, key_secrets
from core.records.tables import KeySecret
from tests.api_service import ADDRESS, Service, add_key, open_service

ORIGIN = {"origin": ADDRESS}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path) as opened:
        yield opened


@pytest.fixture
def browser(service: Service) -> TestClient:
    """A client that was signed in and has no key."""
    answer = service.client.post("/session", headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    client = service.client
    client.headers.pop("authorization")
    return client


def test_the_cookie_is_for_this_site_alone_and_no_script(service: Service) -> None:
    sent = service.client.post("/session").headers["set-cookie"]
    attributes = {part.strip().lower() for part in sent.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} == attributes


def test_over_https_it_never_goes_out_over_http(service: Service) -> None:
    answer = service.client.post("https://127.0.0.1:8000/session")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_it_does_what_the_key_may(service: Service, browser: TestClient) -> None:
    assert browser.get("/v1/models").status_code == 200
    who = browser.get("/session").json()
    assert (who["project"], who["scopes"]) == (service.project_id, ["admin"])
    made = browser.post("/v1/keys", json={"name": "x", "scopes": ["jobs:read"]}, headers=ORIGIN)
    assert made.status_code == 200


def test_a_change_must_say_which_page_asks(browser: TestClient) -> None:
    body = {"name": "x", "scopes": ["jobs:read"]}
    missing = browser.post("/v1/keys", json=body)
    assert (missing.status_code, missing.json()["error"]["code"]) == (403, "origin_missing")
    strange = browser.post("/v1/keys", json=body, headers={"origin": "https://evil.example"})
    assert (strange.status_code, strange.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert browser.delete("/v1/keys/key-x").status_code == 403


def test_a_key_in_the_header_wins(service: Service, browser: TestClient) -> None:
    project_id, other = add_key(service.database, "other")
    found = browser.get("/session", headers={"authorization": f"Bearer {other}"}).json()
    assert found["project"] == project_id
    wrong = browser.get("/session", headers={"authorization": "Bearer lipsum-no"})
    assert wrong.json()["error"]["code"] == "invalid_api_key"


def test_signing_out_ends_it_for_everybody_who_has_the_cookie(
    service: Service, browser: TestClient
) -> None:
    kept = browser.cookies[COOKIE]
    assert browser.delete("/session", headers=ORIGIN).status_code == 200
    assert COOKIE not in browser.cookies
    browser.cookies[COOKIE] = kept
    ended = browser.get("/v1/models")
    assert (ended.status_code, ended.json()["error"]["code"]) == (401, "session_ended")
    with service.database.read() as session:
        lines = audit.list_lines(session, service.project_id, limit=10).items
    assert [line.action for line in lines] == ["session.delete", "session.create"]


def test_it_ends_by_itself(tmp_path: Path) -> None:
    with open_service(tmp_path, session_hours=1e-9) as service:
        sent = service.client.post("/session").headers["set-cookie"]
        service.client.headers.pop("authorization")
        # A browser would have dropped it by now; somebody else may not.
        service.client.cookies[COOKIE] = sent.partition("=")[2].partition(";")[0]
        assert service.client.get("/session").json()["error"]["code"] == "session_ended"


def test_a_session_begins_no_other(browser: TestClient) -> None:
    answer = browser.post("/session", headers=ORIGIN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "key_needed")


def test_with_the_key_it_is_revoked_or_replaced(service: Service, browser: TestClient) -> None:
    key_id = browser.get("/session").json()["key_id"]
    headers = {"authorization": f"Bearer {service.key}"}
    rotated = browser.post(f"/v1/keys/{key_id}/rotate", json={"overlap": 0}, headers=headers)
    assert rotated.status_code == 200, rotated.text
    assert browser.get("/v1/models").status_code == 401


def test_what_ended_is_forgotten_when_the_next_begins(tmp_path: Path) -> None:
    with open_service(tmp_path, session_hours=1e-9) as service:
        for _ in range(3):
            service.client.post("/session")
        with service.database.read() as session:
            kept = session.query(KeySecret).count()
    assert kept == 2  # the key's own, and the last one


def test_its_secret_is_not_in_the_database(service: Service, browser: TestClient) -> None:
    secret = browser.cookies[COOKIE]
    assert secret.startswith(key_secrets.KEY_PREFIX)
    for path in service.settings.data_dir.glob("lipsum.db*"):
        assert secret.encode() not in path.read_bytes()
