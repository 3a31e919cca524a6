"""Comparisons: several methods on one data set as one request, and their report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request
from fastapi.responses import Response

from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.downloads import Stored, documented_download, download
from api.errors import documented
from api.idempotency import once
from api.schemas.comparisons import ComparisonObject, comparison_object
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices, Services
from core import doorbell
from core.comparisons import start
from core.comparisons.advance import advance
from core.comparisons.request import ComparisonRequest
from core.errors import NotFound
from core.learning.comparison.document import Comparison as ReportDocument
from core.records import audit, comparisons, files, quotas
from core.records.tables import Comparison, File

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/comparisons", tags=["comparisons"])

ReportFormat = Literal["json", "html", "csv"]
_FILES = {"json": "comparison.json", "html": "comparison.html", "csv": "results.csv"}
_MEDIA = {"json": "application/json", "html": "text/html; charset=utf-8", "csv": "text/csv"}
_REPORTS = documented_download(_MEDIA["html"], _MEDIA["csv"], model=ReportDocument)


@router.post(
    "",
    dependencies=[needs("jobs:write")],
    openapi_extra=described(ComparisonRequest),
    responses=documented(409, 413),
)
def create_comparison(
    request: Request,
    body: Annotated[ComparisonRequest, Depends(json_body(ComparisonRequest))],
    background: BackgroundTasks,
    principal: Authenticated,
    services: InServices,
) -> ComparisonObject:
    """Every contender is checked now. What trains becomes jobs at once; combinations follow when
    the models they read are there, and the report when all have ended."""
    written = body.model_dump(mode="json", exclude_unset=True)
    with once(request, services, principal, written) as doing:
        with services.database.read() as session:
            draft = start.check(session, principal.project_id, body, services.settings)
        with services.database.write() as session:
            quotas.check_jobs(
                session, principal.project_id, principal.key_id, more=max(1, len(draft.jobs))
            )
            row = start.write(session, principal.project_id, draft, written, principal.key_id)
            audit.note(session, principal.actor, "comparison.create", row.id)
            answer = _whole(session, row)
            doing.answer(session, answer)
    background.add_task(doorbell.ring, services.settings)
    return answer


@router.get("", dependencies=[needs("jobs:read")])
def list_comparisons(
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[ComparisonObject]:
    """One page of the project's comparisons."""
    with services.database.read() as session:
        page = comparisons.list_comparisons(
            session, principal.project_id, after=after, order=order, limit=limit
        )
        found = [_whole(session, row) for row in page.items]
    return list_of(found, page.has_more)


@router.get("/{comparison_id}", dependencies=[needs("jobs:read")])
def retrieve_comparison(
    comparison_id: str, principal: Authenticated, services: InServices
) -> ComparisonObject:
    """One comparison and how far its contenders are."""
    with services.database.read() as session:
        return _whole(session, comparisons.get(session, principal.project_id, comparison_id))


@router.post(
    "/{comparison_id}/cancel", dependencies=[needs("jobs:write")], responses=documented(409)
)
def cancel_comparison(
    comparison_id: str,
    request: Request,
    background: BackgroundTasks,
    principal: Authenticated,
    services: InServices,
) -> ComparisonObject:
    """Cancels every job of it that has not ended; no report is made."""
    with once(request, services, principal, {}) as doing, services.database.write() as session:
        comparisons.request_cancel(session, principal.project_id, comparison_id)
        audit.note(session, principal.actor, "comparison.cancel", comparison_id)
        advance(session, comparison_id, services.settings)
        answer = _whole(session, comparisons.get(session, principal.project_id, comparison_id))
        doing.answer(session, answer)
    background.add_task(doorbell.ring, services.settings)
    return answer


@router.get(
    "/{comparison_id}/report",
    dependencies=[needs("jobs:read")],
    response_class=Response,
    responses=_REPORTS,
)
def download_report(
    comparison_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
    format: Annotated[ReportFormat, Query(description="json, html or csv.")] = "json",
) -> Response:
    """The report of a finished comparison. Plots are among its `report_files`."""
    row = _report_file(services, principal, comparison_id, _FILES[format])
    stored = Stored(row.object_key, row.bytes, row.sha256, row.filename, _MEDIA[format])
    return download(request, services.store, stored)


def _whole(session: Session, row: Comparison) -> ComparisonObject:
    contenders = comparisons.contenders(session, row.id)
    found = comparisons.jobs_of(session, contenders, row.report_job)
    return comparison_object(row, contenders, found, _files(session, row))


def _files(session: Session, row: Comparison) -> list[File]:
    if row.report_job is None:
        return []
    return files.result_files(session, row.project_id, [row.report_job])[row.report_job]


def _report_file(
    services: Services, principal: Principal, comparison_id: str, filename: str
) -> File:
    with services.database.read() as session:
        row = comparisons.get(session, principal.project_id, comparison_id)
        made = _files(session, row)
    found = next((file for file in made if file.filename == filename), None)
    if found is None:
        raise NotFound(
            f"Comparison {comparison_id} is {row.status} and has no {filename}; the report is "
            "made when every contender has ended.",
            code="no_report",
            param="comparison_id",
        )
    return found
