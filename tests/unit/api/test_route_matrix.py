"""Every line of route_matrix.txt, asked by everybody it says something of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from obstore.store import LocalStore, S3Store

from api.app import create_app
from api.auth import ANY_KEY, scopes_of_routes
from core.access.scopes import ADMIN, SCOPES, Scope
from core.ids import new_id
from core.objects import ObjectStore
from core.records import audit, keys, projects
from core.records.clock import read_clock
from tests.api_service import Service, make_settings, open_service
from tests.services import Overrides
from tests.unit.api.tenants import NOBODYS, OURS, THEIRS, Owned, ask, headers, own_one_of_everything

if TYPE_CHECKING:
    from obstore.store import S3Config

TABLE = Path(__file__).with_name("route_matrix.txt")
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    path: str
    scope: str
    own: int
    other: int
    admin: int
    log: str

    @property
    def is_keyed(self) -> bool:
        return self.scope != EVERYBODY

    @property
    def scopes(self) -> list[Scope]:
        """No scope but the one it needs."""
        return [scope for scope in SCOPES if scope == self.scope]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _table() -> list[Row]:
    lines = [line for line in TABLE.read_text().splitlines() if line and line[0] != "#"]
    rows = [line.split() for line in lines[1:]]
    return [Row(a, b, c, int(d), int(e), int(f), g) for a, b, c, d, e, f, g in rows]


ROWS = _table()
KEYED = [row for row in ROWS if row.is_keyed]
SCOPED = [row for row in KEYED if row.scope != ANY_KEY]
each_row = pytest.mark.parametrize("row", ROWS, ids=str)
each_keyed_row = pytest.mark.parametrize("row", KEYED, ids=str)
each_scoped_row = pytest.mark.parametrize("row", SCOPED, ids=str)


@pytest.fixture(scope="module")
def service(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its store is a directory, and signs addresses as S3 does; they lead nowhere."""
    with open_service(tmp_path_factory.mktemp("service"), **of_database()) as opened:
        directory = opened.settings.data_dir / "objects"
        store = ObjectStore(LocalStore(directory), directory, S3Store("nowhere", config=_ANYBODY))
        app = opened.client.app
        assert isinstance(app, FastAPI)
        state = app.state
        state.services = replace(state.services, store=store)
        yield opened


_ANYBODY: S3Config = {"access_key_id": "a", "secret_access_key": "b", "region": "c"}


@pytest.fixture(scope="module")
def shared(service: Service) -> Owned:
    """What nobody changes: it is read, or asked for in vain."""
    return own_one_of_everything(service)


def _things(service: Service, shared: Owned, row: Row, expected: int) -> Owned:
    """What the row's request may change, where it succeeds."""
    changes = row.method != "GET" and expected < 400 and "{" in row.path
    if str(row) == "DELETE /v1/projects/{project_id}":  # not the one that all tests live in
        answer = service.client.post("/v1/projects", json={"name": new_id("name")})
        return replace(shared, project_id=answer.json()["id"])
    return own_one_of_everything(service) if changes else shared


def test_the_table_and_the_app_have_the_same_routes_and_scopes() -> None:
    """Add a route: add a line. Drop one: drop its line."""
    stated = scopes_of_routes(create_app(make_settings(Path("nowhere"))))
    app = {(method, path.replace(":path", "")): scope for (method, path), scope in stated.items()}
    table = {(row.method, row.path): row.scope for row in ROWS}
    assert {place: scope or EVERYBODY for place, scope in app.items()} == table
    assert len(ROWS) == len(table)


def test_every_scope_opens_something_and_changes_are_logged() -> None:
    assert {row.scope for row in SCOPED} == set(SCOPES)
    for row in ROWS:
        only_asks = row.method == "GET" or row.scope == "models:infer" or ":estimate" in row.path
        assert (row.log == "-") == only_asks, str(row)


@each_keyed_row
def test_without_a_key_or_with_one_that_opens_nothing(
    service: Service, row: Row, bad_keys: dict[str, dict[str, str]]
) -> None:
    """CVE-2026-0545 (MLflow): routes that the authentication did not cover."""
    nothing = Owned(*"abcdefghijklm")
    for why, sent in bad_keys.items():
        answer = ask(service, row.method, row.path, nothing, sent)
        assert (answer.status_code, why) == (401, why)
        assert answer.headers["www-authenticate"] == "Bearer"
        expected = {"none": "missing_api_key", "basic": "missing_api_key"}
        expected |= {"expired": "expired_api_key"}
        assert answer.json()["error"]["code"] == expected.get(why, "invalid_api_key")


@pytest.fixture(scope="module")
def bad_keys(service: Service) -> dict[str, dict[str, str]]:
    """Headers of keys that open nothing, though they were made with every scope."""
    with service.database.read() as session:
        past = read_clock(session) - 1
    revoked = headers(service, OURS, SCOPES)
    with service.database.write() as session:
        last = keys.list_keys(session, service.project_id, limit=1).items[0]
        keys.revoke(session, service.project_id, last.id)
    return {
        "none": {"authorization": ""},
        "basic": {"authorization": "Basic bm9wZTo="},
        "bad": {"authorization": "Bearer lipsum-nope"},
        "expired": headers(service, OURS, SCOPES, expires_at=past),
        "revoked": revoked,
    }


@each_scoped_row
def test_without_its_scope(service: Service, row: Row, shared: Owned) -> None:
    """CVE-2024-4263 (MLflow): who might edit could delete."""
    others = [scope for scope in SCOPES if scope not in (row.scope, ADMIN)]
    answer = ask(service, row.method, row.path, shared, headers(service, OURS, others))
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "missing_scope"
    assert f"needs the scope {row.scope}" in error["message"]


@each_row
def test_with_nothing_but_its_scope(service: Service, row: Row, shared: Owned) -> None:
    owned = _things(service, shared, row, row.own)
    answer = ask(service, row.method, row.path, owned, headers(service, OURS, row.scopes))
    assert answer.status_code == row.own, answer.text
    written = _logged(service, answer.headers["x-request-id"])
    assert [line.action for line in written] == ([] if row.log == "-" else [row.log])
    for line in written:
        assert line.address == "testclient"
        assert line.key_id is not None and line.object_id


@each_row
def test_as_an_admin_of_the_same_project(service: Service, row: Row, shared: Owned) -> None:
    owned = _things(service, shared, row, row.own)
    answer = ask(service, row.method, row.path, owned, headers(service, OURS, [ADMIN]))
    assert answer.status_code == row.own, answer.text


@each_row
def test_with_a_key_of_another_project(service: Service, row: Row, shared: Owned) -> None:
    owned = _things(service, shared, row, row.other)
    _check_stranger(service, row, owned, headers(service, THEIRS, row.scopes), row.other)


@each_row
def test_as_an_admin_of_another_project(service: Service, row: Row, shared: Owned) -> None:
    owned = _things(service, shared, row, row.admin)
    _check_stranger(service, row, owned, headers(service, THEIRS, [ADMIN]), row.admin)


def _check_stranger(
    service: Service, row: Row, owned: Owned, sent: dict[str, str], expected: int
) -> None:
    answer = ask(service, row.method, row.path, owned, sent)
    assert answer.status_code == expected, answer.text
    if expected < 400 and "{" in row.path:
        return  # an operator's business
    if expected >= 400 or row.path.endswith(":estimate"):  # which says what a job would be refused
        never = owned.never_existed()
        unknown = ask(service, row.method, row.path, never, sent)
        assert _without_ids(answer, owned) == _without_ids(unknown, never)
    else:
        for name, own_id in owned.ids().items():
            may_be_known = row.scope == ADMIN or name in NOBODYS
            assert may_be_known or own_id not in answer.text, name


def _without_ids(answer: Any, asked: Owned) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers but for what must differ: the id asked for, the request's id, and
    so lengths."""
    text = answer.text
    for name, own_id in asked.ids().items():
        text = text.replace(own_id, f"<{name}>")
    differing = ("x-request-id", "content-length")
    return (
        answer.status_code,
        text,
        {name: value for name, value in answer.headers.items() if name not in differing},
    )


def _logged(service: Service, request_id: str) -> list[Any]:
    with service.database.read() as session:
        lines = []
        for project in projects.list_projects(session, limit=1000).items:
            lines += audit.list_lines(session, project.id, limit=1000).items
    return [line for line in lines if line.request_id == request_id]
