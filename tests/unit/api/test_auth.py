"""Keys at the door, and that no route can be without one. Who may use which: test_route_matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from api import errors
from api.app import create_app
from api.auth import everybody, needs, scopes_of_routes
from api.context import RequestContext
from core.records import keys
from tests.api_service import ADDRESS, Service, add_key, make_settings
from tests.service_builders import HASHING


def test_the_health_check_tells_nothing(service: Service) -> None:
    answer = service.client.get("/healthz", headers={"authorization": ""})
    assert answer.json() == {"status": "ok"}


def test_bodies_are_not_judged_before_the_key_and_its_scope(service: Service) -> None:
    _, reading = add_key(service.database, "default", ["jobs:read"])
    for key, status in (("", 401), (f"Bearer {reading}", 403)):
        answer = service.client.post(
            "/v1/fine_tuning/jobs", content=b"{", headers={"authorization": key}
        )
        assert answer.status_code == status


def test_a_revoked_key_opens_nothing(service: Service) -> None:
    with service.database.write() as session:
        key, secret = keys.create(
            session, service.project_id, "short-lived", HASHING, scopes=["models:read"]
        )
    headers = {"authorization": f"Bearer {secret}"}
    assert service.client.get("/v1/models", headers=headers).status_code == 200
    assert service.client.delete(f"/v1/keys/{key.id}").status_code == 200
    assert service.client.get("/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "bearer x y", "Token x", "Bearer \xe9", "Bearer lipsum-%00"]
)
def test_a_strange_header_is_no_key(service: Service, header: str) -> None:
    answer = service.client.get("/v1/models", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401


class TestARouteWithoutAScope:
    """The app that has one is not made."""

    def test_is_refused(self) -> None:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route("/v1/secrets", lambda: "all of them", methods=["GET"])
        with pytest.raises(TypeError, match="GET /v1/secrets states 0 scopes"):
            scopes_of_routes(app)

    def test_is_refused_however_deep_it_was_included(self) -> None:
        inner, outer = APIRouter(prefix="/deep"), APIRouter(prefix="/v1")
        inner.add_api_route("/{item}", lambda: "open", methods=["DELETE"])
        outer.include_router(inner)
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(outer)
        with pytest.raises(TypeError, match=r"DELETE /v1/deep/\{item\} states 0 scopes"):
            scopes_of_routes(app)

    def test_or_with_two_is_refused(self) -> None:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        stated = [needs("files:read"), everybody]
        app.add_api_route("/v1/both", lambda: "?", dependencies=stated)
        with pytest.raises(TypeError, match="states 2 scopes"):
            scopes_of_routes(app)

    @pytest.mark.parametrize("kind", ["mount", "starlette", "websocket", "docs"])
    def test_of_a_kind_that_can_state_none_is_refused(self, kind: str, tmp_path: Path) -> None:
        async def answer(request: Any) -> Any:
            return PlainTextResponse("open")

        app = FastAPI(openapi_url="/openapi.json" if kind == "docs" else None)
        if kind == "mount":
            app.mount("/files", StaticFiles(directory=tmp_path))
        elif kind == "starlette":
            app.add_route("/plain", answer)
        elif kind == "websocket":
            app.add_api_websocket_route("/socket", answer)
        with pytest.raises(TypeError, match="not an APIRoute"):
            scopes_of_routes(app)

    def test_in_a_resource_of_ours_stops_the_service(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from api.routes import files

        forgetful = APIRouter(prefix="/files")
        forgetful.add_api_route("/all", lambda: "everything", methods=["DELETE"])
        monkeypatch.setattr(files, "router", forgetful)
        with pytest.raises(TypeError, match="DELETE /v1/files/all"):
            create_app(make_settings(tmp_path))

    def test_answers_nothing_even_if_it_got_in(self, tmp_path: Path) -> None:
        """FastAPI's front-end routes are in no list of routes; nor is what is added later."""
        (tmp_path / "index.html").write_text("a page that asked nobody")
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        errors.install(app)
        app.add_middleware(RequestContext)
        app.frontend("/page", directory=tmp_path)
        app.add_api_route("/late", lambda: "late", methods=["GET"])
        app.add_api_route("/open", lambda: "for you", methods=["GET"], dependencies=[everybody])
        with TestClient(app, ADDRESS, raise_server_exceptions=False) as client:
            with capture_logs() as logged:
                for path in ("/page/index.html", "/late"):
                    answer = client.get(path)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
            assert [line["event"] for line in logged] == ["request_failed"] * 2
            assert client.get("/open").status_code == 200
