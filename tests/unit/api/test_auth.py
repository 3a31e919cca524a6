"""Every route asks for a key; the walk fails when one is added that does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.auth import authenticate
from core.records import keys
from tests.api_service import Service, make_settings

PUBLIC = {("GET", "/healthz")}


def _routes() -> list[tuple[str, str]]:
    """Every method and path of the app, with example ids in place of parameters."""
    app = create_app(make_settings(Path("nowhere")))
    found = []
    for context in iter_route_contexts(app.routes):
        assert isinstance(context.original_route, APIRoute), f"{context.path} is no API route"
        for method in context.methods or ():
            found.append((method, str(context.path_format)))
    return sorted(found)


def test_the_walk_sees_the_routes() -> None:
    routes = _routes()
    assert ("POST", "/v1/fine_tuning/jobs/{job_id}/cancel") in routes
    assert ("POST", "/v1/models/{model_id}/image-classification") in routes
    assert len(routes) == 35


@pytest.mark.parametrize(("method", "path"), _routes())
def test_no_key_no_answer(service: Service, method: str, path: str) -> None:
    concrete = path.format(
        file_id="file-1",
        job_id="ftjob-1",
        model_id="base:x",
        name="a",
        comparison_id="cmp-1",
        webhook_id="webhook-1",
        delivery_id="whd-1",
    )
    without = service.client.request(method, concrete, headers={"authorization": ""})
    if (method, path) in PUBLIC:
        assert without.status_code == 200
        return
    assert without.status_code == 401
    assert without.json()["error"]["code"] == "missing_api_key"
    assert without.headers["www-authenticate"] == "Bearer"
    wrong = service.client.request(method, concrete, headers={"authorization": "Bearer nope"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    basic = service.client.request(method, concrete, headers={"authorization": "Basic bm9wZTo="})
    assert basic.status_code == 401


def test_the_health_check_tells_nothing(service: Service) -> None:
    answer = service.client.get("/healthz", headers={"authorization": ""})
    assert answer.json() == {"status": "ok"}


def test_bodies_are_not_judged_before_the_key(service: Service) -> None:
    answer = service.client.post(
        "/v1/fine_tuning/jobs", content=b"{", headers={"authorization": ""}
    )
    assert answer.status_code == 401


def test_a_revoked_key_opens_nothing(service: Service) -> None:
    with service.database.write() as session:
        key, secret = keys.create(session, service.project_id, "short-lived")
    headers = {"authorization": f"Bearer {secret}"}
    assert service.client.get("/v1/models", headers=headers).status_code == 200
    with service.database.read() as session:
        used = keys.list_keys(session, service.project_id)[-1]
    assert used.last_used_at is not None
    with service.database.write() as session:
        keys.revoke(session, service.project_id, key.id)
    assert service.client.get("/v1/models", headers=headers).status_code == 401


def test_the_dependency_is_on_every_route() -> None:
    """By construction, beside by behaviour: nothing of the app is outside the keyed router."""
    app = create_app(make_settings(Path("nowhere")))
    for context in iter_route_contexts(app.routes):
        calls = {item.call for item in context.dependant.dependencies}
        assert (authenticate in calls) != (str(context.path) == "/healthz")
