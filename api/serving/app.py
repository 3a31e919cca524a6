"""The inference process as an app of its own, for the API and nobody else.

It listens on loopback and knows no keys. A web page that a person on this machine has open could
still post to it; the content type it insists on is one that no page may send elsewhere unasked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api.serving.engine import Engine
from api.serving.exports import export_path
from core.errors import InvalidRequest, NotFound, ServiceError, StorageFault, Unavailable
from core.leaving import ClientLeft, unless_it_leaves
from core.prediction import (
    CONTENT_TYPE,
    EXPORTS_PATH,
    Asked,
    Comparison,
    Embedding,
    Encoded,
    Exporting,
    Fault,
    Forgetting,
    Loading,
    Prediction,
    decode,
)
from core.settings import MIB, Settings

log = structlog.get_logger(__name__)

CLIENT_LEFT = 499  # nginx's number; nobody reads it
MAX_BYTES_IN_FLIGHT = 512 * MIB  # of bodies being answered; one larger body is still taken


def create_serving_app(settings: Settings) -> FastAPI:
    """The app of these settings. Models are loaded when they are first asked for."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = Engine(settings)
        batching = asyncio.create_task(engine.batcher.run())
        app.state.engine, app.state.bytes_in_flight = engine, 0
        try:
            yield
        finally:
            batching.cancel()
            with suppress(asyncio.CancelledError):
                await batching
            engine.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    for path, route in (
        (Prediction.path, _answering(Prediction, Engine.predict)),
        (Comparison.path, _answering(Comparison, Engine.compare)),
        (Embedding.path, _answering(Embedding, Engine.embed)),
        (Loading.path, _answering(Loading, Engine.load)),
        (Forgetting.path, _answering(Forgetting, Engine.forget)),
        (Exporting.path, _answering(Exporting, Engine.export)),
    ):
        app.add_api_route(path, route, methods=["POST"], response_model=None)
    app.add_api_route(f"{EXPORTS_PATH}/{{name}}", _export_of(settings), methods=["GET"])
    app.add_api_route("/metrics", _metrics, methods=["GET"], response_model=None)
    app.add_api_route("/healthz", _health, methods=["GET"])
    return app


def _export_of(settings: Settings) -> Callable[[str], Response]:
    def route(name: str) -> Response:
        """A part of a tar, where a range is asked for."""
        try:
            return FileResponse(export_path(settings, name))
        except NotFound as error:
            return Response(error.message, status_code=404)

    return route


async def _metrics(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    return Response(engine.observations.text(), media_type=CONTENT_TYPE_LATEST)


async def _health() -> dict[str, str]:
    return {"status": "ok"}


def _answering(
    kind: type[Asked],
    answer: Callable[[Engine, Asked, Sequence[Encoded]], Awaitable[BaseModel]],
) -> Callable[[Request], Awaitable[Response]]:
    """A route for one kind of question."""

    async def route(request: Request) -> Response:
        engine: Engine = request.app.state.engine
        began = time.perf_counter()
        response = await respond(request, engine)
        seconds = time.perf_counter() - began
        engine.observations.answered(kind.path.strip("/"), response.status_code, seconds)
        return response

    async def respond(request: Request, engine: Engine) -> Response:
        try:
            with _Admission(request):
                asked, images = await _read(request, kind)
                found = await unless_it_leaves(request.receive, answer(engine, asked, images))
            return Response(found.model_dump_json(), media_type="application/json")
        except ServiceError as error:
            return _refusal(error)
        except ClientLeft:  # or waited long enough
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:  # the API is told, and this log says why
            log.exception("inference_failed")
            return _refusal(
                Unavailable(f"Inference failed ({type(error).__name__}).", code="inference_failed")
            )

    return route


async def _read(request: Request, kind: type[Asked]) -> tuple[Asked, list[memoryview]]:
    if request.headers.get("content-type") != CONTENT_TYPE:
        raise InvalidRequest(f"Only {CONTENT_TYPE} is understood.", code="invalid_content_type")
    try:
        return decode(await request.body(), kind)
    except ValueError as error:
        raise InvalidRequest(f"The body is not understood: {error}.") from error


class _Admission:
    """Bounds what all bodies being answered hold of memory."""

    def __init__(self, request: Request) -> None:
        self._state = request.app.state
        self._size = int(request.headers.get("content-length", 0))

    def __enter__(self) -> None:
        busy = self._state.bytes_in_flight
        if busy and busy + self._size > MAX_BYTES_IN_FLIGHT:
            raise Unavailable(
                f"{busy} bytes of images are being worked on; try again in a moment.",
                code="inference_busy",
            )
        self._state.bytes_in_flight += self._size

    def __exit__(self, *_exception: object) -> None:
        self._state.bytes_in_flight -= self._size


def _refusal(error: ServiceError) -> Response:
    if isinstance(error, InvalidRequest):
        kind, status = "invalid", 400
    elif isinstance(error, StorageFault):
        kind, status = "storage", 507
    else:
        kind, status = "unavailable", 503
    fault = Fault.model_validate(
        {"kind": kind, "message": error.message, "code": error.code, "param": error.param}
    )
    return Response(fault.model_dump_json(), status_code=status, media_type="application/json")
