"""One shape for every fault, whoever refuses."""

from __future__ import annotations

import re

import pytest
from structlog.testing import capture_logs

from api.errors import status_of
from core import errors
from tests.api_service import Service, dataset


def shape(answer: object) -> dict[str, object]:
    """The error of an answer, whose shape is checked."""
    body = answer.json()  # type: ignore[attr-defined]
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message", "param", "type"]
    return dict(body["error"])


def test_an_unknown_route(service: Service) -> None:
    answer = service.client.get("/v1/nothing")
    assert answer.status_code == 404
    error = shape(answer)
    assert (error["code"], error["message"]) == (
        "unknown_url",
        "There is no route GET /v1/nothing.",
    )


@pytest.mark.parametrize("url", ["/v1/files/a%00b", "/v1/files?after=a%00b", "/v1/models/%00"])
def test_no_name_has_a_nul(service: Service, url: str) -> None:
    answer = service.client.get(url)
    assert (answer.status_code, shape(answer)["code"]) == (404, "unknown_url")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/files", "GET, POST"),
        ("/v1/models/base:tiny", "DELETE, GET, POST"),
        ("/v1/models/base:tiny/files/a/b", "GET"),
        ("/healthz", "GET"),
    ],
)
def test_a_wrong_method_is_told_all_that_are_right(
    service: Service, path: str, allowed: str
) -> None:
    """RFC 9110, 15.5.6. Methods of one path are routes of their own."""
    answer = service.client.request("TRACE", path)
    assert answer.status_code == 405
    error = shape(answer)
    assert (error["code"], answer.headers["allow"]) == ("method_not_allowed", allowed)
    assert allowed in str(error["message"])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=10001", "order=up"])
def test_a_query_out_of_range(service: Service, query: str) -> None:
    answer = service.client.get(f"/v1/files?{query}")
    assert answer.status_code == 400
    error = shape(answer)
    name, value = query.split("=")
    assert error["param"] == name
    assert f"{name} is '{value}'" in str(error["message"])


def test_a_cursor_that_is_nobodys(service: Service) -> None:
    answer = service.client.get("/v1/files?after=file-none")
    assert (answer.status_code, shape(answer)["param"]) == (404, "after")


def test_every_answer_has_an_id_and_may_not_be_sniffed(service: Service) -> None:
    ids = set()
    kept = {"/healthz": "private, no-cache", "/v1/files": "private, no-cache"}
    for path in ("/healthz", "/v1/files", "/v1/nothing"):
        answer = service.client.get(path, headers={"x-request-id": "mine"})
        ids.add(answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == kept.get(path, "no-store")
    assert len(ids) == 3
    assert all(re.fullmatch(r"req-[a-z0-9]{20}", request_id) for request_id in ids)


def test_an_unforeseen_fault_tells_an_id_and_nothing_else(fresh: Service) -> None:
    fresh.upload(dataset())
    with fresh.database.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE files SET structure = '{"secret": 1}'""")
    with capture_logs() as logged:
        answer = fresh.client.get("/v1/files")
    error = shape(answer)
    assert [(line["event"], line["path"]) for line in logged] == [("request_failed", "/v1/files")]
    assert (answer.status_code, error["code"], error["type"]) == (500, "internal", "server_error")
    assert answer.headers["x-request-id"] in str(error["message"])
    assert "secret" not in answer.text


def test_every_class_of_fault_has_its_status() -> None:
    expected = {
        errors.InvalidRequest: 400,
        errors.InvalidDataset: 400,
        errors.InvalidSpec: 400,
        errors.TooLarge: 413,
        errors.Unauthenticated: 401,
        errors.Forbidden: 403,
        errors.NotFound: 404,
        errors.Conflict: 409,
        errors.Busy: 409,
        errors.Unavailable: 503,
        errors.RateLimited: 429,
        errors.QuotaExceeded: 429,
        errors.StorageFault: 507,
        errors.ServiceError: 500,
    }
    classes = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.ServiceError)
    ]
    assert {kind: status_of(kind("m")) for kind in classes} == expected
