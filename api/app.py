"""The API as a FastAPI app. `create_app` has no effect until the app starts.

No documentation routes of FastAPI's: they would be open to everybody and load scripts from
elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from api import errors
from api.auth import BEARER, scopes_of_routes
from api.context import RequestContext
from api.origin import OriginCheck
from api.routes import (
    audit,
    comparisons,
    files,
    health,
    inference,
    jobs,
    keys,
    models,
    projects,
    usage,
)
from api.services import open_services
from core.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The app of these settings. Everything it shares lives in `app.state.services`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as opened:
            app.state.services = opened
            yield

    app = _App(
        title="Lipsum",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    app.add_middleware(OriginCheck, settings=settings)
    app.add_middleware(RequestContext)
    app.include_router(health.router)
    app.include_router(_keyed_routes())
    scopes_of_routes(app)  # refuses to make an app with a route that does not state its scope
    return app


class _App(FastAPI):
    """Its document says which scope each route needs."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for (method, path), scope in scopes_of_routes(self).items():
            operation = document["paths"].get(path, {}).get(method.lower())
            if operation is not None and scope is not None:
                operation["security"] = [{BEARER: [scope]}]
        return document


def _keyed_routes() -> APIRouter:
    """Every route that asks for a key, which is all but the health check."""
    keyed = APIRouter(prefix="/v1", responses=errors.documented(400, 401, 403, 404, 429, 503))
    for resource in (
        files,
        jobs,
        models,
        inference,
        comparisons,
        keys,
        projects,
        usage,
        audit,
    ):
        keyed.include_router(resource.router)
    return keyed
