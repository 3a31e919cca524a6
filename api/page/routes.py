"""Where the page is found. Nothing here knows a project; what the page shows it asks of the API."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.auth import everybody
from api.page.assets import load_assets
from api.page.charts import bundle, definition
from api.page.shells import shells
from api.page.views import VIEWS
from core.errors import NotFound
from core.validation import shown

router = APIRouter(include_in_schema=False, dependencies=[everybody])

# No exception: no inline script or style, nothing from elsewhere, no frame around it.
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)


@router.get("/static/{version}/vega.js", response_class=Response)
async def vega(version: str, request: Request) -> Response:
    """What draws charts, in one file. `version` is there for browsers' caches."""
    found = await bundle()
    return found.response(request.headers.get("accept-encoding", ""), "public, max-age=86400")


@router.get("/static/{version}/charts/{chart}.json", response_class=Response)
async def chart(version: str, chart: str, request: Request) -> Response:
    """A chart's definition, without data."""
    found = await definition(chart)
    return found.response(request.headers.get("accept-encoding", ""), "public, max-age=86400")


@router.get("/static/{version}/{asset:path}", response_class=Response)
def static(version: str, asset: str, request: Request) -> Response:
    """A style sheet or a module."""
    accepted = request.headers.get("accept-encoding", "")
    found = load_assets().response(version, asset, accepted)
    if found is None:
        raise NotFound(f"The page has no file {shown(asset)}.")
    return found


def _shell_of(path: str) -> Callable[[Request], Response]:
    def shell(request: Request) -> Response:
        found = shells()[path]
        answer = found.response(request.headers.get("accept-encoding", ""), "no-cache")
        answer.headers["content-security-policy"] = POLICY
        answer.headers["referrer-policy"] = "same-origin"
        return answer

    return shell


for _view in VIEWS:
    router.add_api_route(
        _view.path,
        _shell_of(_view.path),
        methods=["GET"],
        name=f"page_{_view.module}",
        response_class=HTMLResponse,
    )
