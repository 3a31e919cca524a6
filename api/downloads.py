"""Stored bytes as an answer: streamed, in parts if asked for, cacheable by their digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from api.conditional import matches
from api.errors import documented, error_response
from api.ranges import RangeNotSatisfiable, parse_range
from core.errors import NotFound, StorageFault

_OUTSIDE_TOKEN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Stored:
    """Bytes of an object: all of it, or the file inside it that begins at `offset`."""

    key: str
    size: int
    identity: str  # equal only for equal bytes
    filename: str
    media_type: str = "application/octet-stream"
    offset: int = 0


def documented_download(
    *media_types: str, model: type[BaseModel] | None = None
) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` of a route that answers with `download`, of JSON as that model too."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media_types}
    return {
        200: {"content": content} if model is None else {"content": content, "model": model},
        206: {"content": content, "headers": _headers("ETag", "Content-Range")},
        304: {"description": "The client has it", "headers": _headers("ETag")},
        **documented(416, 507),
    }


class Readable(Protocol):
    """What holds stored bytes; an object store, mostly."""

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Raises NotFound."""


def download(request: Request, store: Readable, stored: Stored) -> Response:
    """200, 206, 304 or 416, as the request's conditions ask. Call it in a thread."""
    etag = f'"{stored.identity}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": f'attachment; filename="{_token(stored.filename)}"',
    }
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    if condition is not None and condition != etag:
        wanted = None  # the client's part is of something else: it gets everything
    try:
        part = parse_range(wanted, stored.size)
    except RangeNotSatisfiable:
        return error_response(
            416,
            f"The range {wanted} begins behind the end; there are {stored.size} bytes.",
            "range_not_satisfiable",
            headers={"content-range": f"bytes */{stored.size}"},
        )
    start, end = part or (0, stored.size)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{stored.size}"
    headers["content-length"] = str(end - start)
    return StreamingResponse(
        _open(store, stored, start, end),
        status_code=200 if part is None else 206,
        headers=headers,
        media_type=stored.media_type,
    )


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"required": True, "schema": {"type": "string"}} for name in names}


def _open(store: Readable, stored: Stored, start: int, end: int) -> Iterator[bytes]:
    try:
        return store.read(stored.key, stored.offset + start, stored.offset + end)
    except NotFound as error:
        raise StorageFault(
            f"The stored bytes of {stored.filename} are missing; tell the operator."
        ) from error


def _token(filename: str) -> str:
    """A name that cannot end the header or the quotation, nor hide its suffix."""
    return _OUTSIDE_TOKEN.sub("_", filename)[-150:] or "download"
