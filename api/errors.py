"""Every fault in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`.

The status follows from the fault's class; `core.errors` draws the tree. Clients of OpenAI's SDK
get the exception they expect from the status alone, and repeat nothing that cannot succeed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from api.schemas.errors import ErrorBody, ErrorDetail
from core.errors import (
    Busy,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ServiceError,
    StorageFault,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from core.validation import Finding, findings, joined

RETRY_AFTER = 2  # seconds; what is unavailable mostly restarts or makes room
_STATUS: Mapping[type[ServiceError], int] = {
    InvalidRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    RateLimited: 429,
    QuotaExceeded: 429,
    Unavailable: 503,
    StorageFault: 507,
}
_REPEAT = {"x-should-retry": "true", "retry-after": "1"}
_WHEN = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
_ALWAYS_WHEN = {"headers": {"Retry-After": {"required": True, **_WHEN}}}
_DOCUMENTED_HEADERS: Mapping[int, dict[str, Any]] = {
    401: {"headers": {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}},
    409: {
        "headers": {
            "X-Should-Retry": {"required": True, "schema": {"enum": ["true", "false"]}},
            "Retry-After": _WHEN,
        }
    },
    416: {"headers": {"Content-Range": {"required": True, "schema": {"type": "string"}}}},
    429: {"headers": {"Retry-After": _WHEN}},
    503: _ALWAYS_WHEN,
    507: _ALWAYS_WHEN,
}
_PLACES = ("body", "query", "path", "header")


def install(app: FastAPI) -> None:
    """Makes every fault of the app's routes an answer of this shape."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)


def status_of(error: ServiceError) -> int:
    """The status of the fault's nearest class that has one; 500 for the root itself."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def error_response(
    status: int,
    message: str,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An answer of the one shape, with what its status asks of a client."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = ErrorBody(error=ErrorDetail(message=message, type=kind, param=param, code=code))
    return JSONResponse(
        body.model_dump(), status_code=status, headers={**_advice(status), **(headers or {})}
    )


def internal_error(request_id: str) -> JSONResponse:
    """What a client is told of a fault that nobody foresaw."""
    return error_response(
        500,
        f"The service failed in an unforeseen way. Tell the operator the request id {request_id}.",
        "internal",
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for these statuses, and for any other.

    Without the last FastAPI would describe a 422 of its own, which is never answered here.
    """
    named: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody, **_DOCUMENTED_HEADERS.get(status, {})} for status in statuses
    }
    return {**named, "default": {"model": ErrorBody, "description": "Any other fault"}}


def invalid(found: Sequence[Finding], code: str = "invalid_request") -> InvalidRequest:
    """The fault of a body or query that does not fit its schema."""
    return InvalidRequest(joined(found), code=code, param=found[0].field or None)


def _advice(status: int) -> dict[str, str]:
    if status == 401:
        return {"www-authenticate": "Bearer"}
    if status == 409:
        return {"x-should-retry": "false"}  # OpenAI's SDK would repeat every 409
    if status in (503, 507):
        return {"retry-after": str(RETRY_AFTER)}
    return {}


def _advice_on(error: ServiceError) -> dict[str, str]:
    if isinstance(error, RateLimited):
        return {"retry-after": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, QuotaExceeded):
        return {"x-should-retry": "false"}  # OpenAI's SDK would repeat every 429
    return _REPEAT if isinstance(error, Busy) else {}


async def _on_service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    status = status_of(error)
    if isinstance(error, StorageFault):
        request.app.state.observations.storage_errors.inc()
    if status == 500:
        raise error  # unforeseen: logged and answered by `api.context`
    return error_response(status, error.message, error.code, error.param, _advice_on(error))


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    located = [{**item, "loc": _without_place(item["loc"])} for item in error.errors()]
    return await _on_service_error(request, invalid(findings(located)))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    """What Starlette and FastAPI refuse by themselves: routes, methods, unreadable requests."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.scope['path']}"
    if error.status_code == 404:
        message = f"There is no route {where}."
        return error_response(404, message, "unknown_url")
    if error.status_code == 405:
        allowed = ", ".join(_methods_of(request))
        message = f"{where} is not possible; the methods of this path are {allowed}."
        return error_response(405, message, "method_not_allowed", headers={"allow": allowed})
    message = f"{where} could not be handled: {error.detail}."
    return error_response(error.status_code, message, "invalid_request", headers=error.headers)


def _methods_of(request: Request) -> list[str]:
    """What the path answers to (RFC 9110, 10.2.1): each method is a route, and Starlette's refusal
    knows the first one alone."""
    found: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        if context.path_regex.match(request.scope["path"]):
            found |= context.methods or set()
    return sorted(found)


def _without_place(location: Sequence[Any]) -> tuple[Any, ...]:
    parts = tuple(location)
    return parts[1:] if parts and parts[0] in _PLACES else parts
