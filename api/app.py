"""The API as a FastAPI app. `create_app` has no effect until the app starts.

No documentation routes of FastAPI's: they would be open to everybody and load scripts from
elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI

from api import errors, idempotency
from api.auth import authenticate
from api.conditional import Conditional
from api.context import RequestContext
from api.routes import (
    comparisons,
    files,
    health,
    inference,
    job_logs,
    job_specs,
    jobs,
    models,
    webhooks,
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

    app = FastAPI(
        title="Lipsum",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    idempotency.install(app)
    app.add_middleware(Conditional)
    app.add_middleware(RequestContext)  # the outermost
    app.include_router(health.router)
    app.include_router(_keyed_routes())
    return app


def _keyed_routes() -> APIRouter:
    """Every route but the health check: whatever is added here asks for a key."""
    keyed = APIRouter(
        prefix="/v1",
        dependencies=[Depends(authenticate)],
        responses=errors.documented(400, 401, 404, 503),
    )
    for resource in (files, jobs, job_specs, job_logs, models, inference, comparisons, webhooks):
        keyed.include_router(resource.router)
    return keyed
