"""The API as a FastAPI app. `create_app` has no effect until the app starts.

No documentation routes of FastAPI's: its pages load scripts from elsewhere. Ours are in
`api.reference`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import errors, idempotency
from api.auth import scopes_of_routes
from api.conditional import Conditional
from api.context import RequestContext
from api.observed import PREFIX, Observations, Observed
from api.origin import OriginCheck
from api.page import routes as page
from api.reference.document import operation_id
from api.routes import (
    aliases,
    audit,
    classification,
    comparisons,
    datasets,
    features,
    files,
    health,
    inference,
    job_logs,
    job_metrics,
    job_predictions,
    job_specs,
    jobs,
    keys,
    methods,
    metrics,
    models,
    projects,
    reference,
    session,
    signed_parts,
    uploads,
    usage,
    webhooks,
    workers,
)
from api.services import open_services
from core.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The app of these settings. Everything it shares lives in `app.state`."""

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
        generate_unique_id_function=operation_id,
    )
    errors.install(app)
    app.add_middleware(OriginCheck, settings=settings)
    idempotency.install(app)
    app.add_middleware(Conditional)
    app.add_middleware(RequestContext)
    app.state.observations = Observations()
    app.add_middleware(Observed)  # the outermost: it sees every answer
    keyed = errors.documented(400, 401, 403, 404, 429, 503)
    for resource in _KEYED:  # not by way of a router of them all: each route would be made twice
        app.include_router(resource.router, prefix=PREFIX, responses=keyed)
    unbounded = errors.documented(401, 403, 429, 503)
    app.include_router(metrics.router, responses=unbounded)
    app.include_router(health.router)
    app.include_router(reference.router)
    app.include_router(session.router, responses=unbounded)
    app.include_router(page.router)
    scopes_of_routes(app)  # refuses to make an app with a route that does not state its scope
    return app


# Whose routes ask for a key, which are all but the health check and the reference. Looked through
# in this order: those first that are asked most often.
_KEYED = (
    inference,
    classification,
    files,
    uploads,
    signed_parts,
    datasets,
    jobs,
    job_specs,
    job_logs,
    job_metrics,
    job_predictions,
    methods,
    models,
    aliases,
    features,
    comparisons,
    webhooks,
    keys,
    projects,
    usage,
    audit,
    workers,
)
