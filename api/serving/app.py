"""The inference process as an app of its own, for the API and nobody else.

It listens on loopback and knows no keys. A web page that a person on this machine has open could
still post to it; the content type it insists on is one that no page may send elsewhere unasked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI, Request, Response

from api.serving.engine import Engine
from core.errors import InvalidRequest, ServiceError, StorageFault, Unavailable
from core.prediction import CONTENT_TYPE, PATH, Fault, decode
from core.settings import MIB, Settings

log = structlog.get_logger(__name__)

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
    app.add_api_route(PATH, _predict, methods=["POST"], response_model=None)
    app.add_api_route("/healthz", _health, methods=["GET"])
    return app


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _predict(request: Request) -> Response:
    try:
        return await _answer(request)
    except ServiceError as error:
        return _refusal(error)
    except Exception as error:  # the API is told, and this log says why
        log.exception("prediction_failed")
        return _refusal(
            Unavailable(f"Inference failed ({type(error).__name__}).", code="inference_failed")
        )


async def _answer(request: Request) -> Response:
    if request.headers.get("content-type") != CONTENT_TYPE:
        raise InvalidRequest(f"Only {CONTENT_TYPE} is understood.", code="invalid_content_type")
    engine: Engine = request.app.state.engine
    with _Admission(request):
        try:
            prediction, images = decode(await request.body())
        except ValueError as error:
            raise InvalidRequest(f"The body is no prediction: {error}.") from error
        scores = await engine.predict(prediction, images)
    return Response(scores.model_dump_json(), media_type="application/json")


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
