"""Request bodies read whole, within a limit, after the key was checked.

FastAPI would read a body before it looks at dependencies, without a limit, and its own limit
answers in a shape of its own; so bodies are read here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from api.errors import invalid
from core.errors import InvalidRequest, TooLarge
from core.settings import MIB
from core.validation import findings, read_json

JSON_BYTES = MIB  # largest JSON body of a route that takes no images

Body = TypeVar("Body", bound=BaseModel)


def json_body(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A dependency: the request's JSON as that model. Raises InvalidRequest and TooLarge."""

    async def read(request: Request) -> Body:
        return parse_json(await read_body(request, JSON_BYTES), model)

    return read


def optional_json_body(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """The same, where no body at all stands for an empty object: SDKs send none unless asked."""

    async def read(request: Request) -> Body:
        return parse_json(await read_body(request, JSON_BYTES) or b"{}", model)

    return read


def parse_json(body: bytes, model: type[Body]) -> Body:
    """JSON bytes as that model. Raises InvalidRequest naming every field at fault."""
    content = load_json(body)
    try:
        return read_json(model, content)
    except ValidationError as error:
        known = list(model.model_fields)
        raise invalid(findings(error.errors(), known_fields=known)) from error


def load_json(body: bytes) -> Any:
    """What the JSON says, whatever it is. Raises InvalidRequest where it is none."""
    if b"\\u0000" in body:
        raise InvalidRequest(
            "The body has a NUL character (\\u0000); leave it out.", code="invalid_json"
        )
    try:
        return from_json(body, allow_inf_nan=False)  # refuses lone surrogates as well
    except ValueError as error:
        why = str(error) if body else "it is empty"
        raise InvalidRequest(
            f"The body is not JSON ({why}); send one JSON object.", code="invalid_json"
        ) from error


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge, having read little more than `limit` bytes."""
    declared = declared_length(request)
    if declared is not None and declared > limit:
        raise _too_large(declared, limit)
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
        parts.append(chunk)
    return b"".join(parts)


def declared_length(request: Request) -> int | None:
    """What Content-Length says, when it says something."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def described(*models: type[BaseModel], required: bool = True) -> dict[str, Any]:
    """FastAPI's `openapi_extra` for a body that is read as one of these."""
    schemas = []
    for model in models:
        schema = model.model_json_schema()
        schemas.append(_inlined(schema, schema.pop("$defs", {})))
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """References resolved in place: they would point into the wrong document."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"The body has at least {size} bytes; the most is {limit}.", code="body_too_large"
    )
