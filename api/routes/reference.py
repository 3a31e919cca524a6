"""The API's description, open to everybody: it tells nothing of what is kept here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response

from api.auth import everybody
from api.reference.document import openapi_document
from api.reference.page import FILES, reference_page

router = APIRouter(include_in_schema=False, dependencies=[everybody])

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}


@router.get("/openapi.json", response_class=JSONResponse)
def openapi_json(request: Request) -> Response:
    """This document."""
    return JSONResponse(openapi_document(request.app), headers=_HEADERS)


@router.get("/docs", response_class=HTMLResponse)
def reference(request: Request) -> Response:
    """This document as a page."""
    return HTMLResponse(reference_page(openapi_document(request.app)), headers=_HEADERS)


@router.get(
    "/docs/style.css",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/css": {}}}},
)
def reference_style() -> Response:
    """How the page looks."""
    return FileResponse(FILES / "style.css", media_type="text/css", headers=_HEADERS)
