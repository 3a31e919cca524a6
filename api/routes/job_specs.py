"""What a job is before it is made, and what it was afterwards: estimates and specifications."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth import Authenticated, needs
from api.bodies import JSON_BYTES, described, load_json, read_body
from api.errors import documented
from api.schemas.estimates import JobEstimate, estimate_object
from api.schemas.jobs import JobSpecification
from api.services import InServices
from core.jobs.estimate import check, estimate
from core.jobs.lookup import RecordsLookup
from core.jobs.repeat import request_of
from core.jobs.request import JobRequest
from core.records import jobs
from core.records.measured import finished_like

router = APIRouter(tags=["fine-tuning"])


async def _content(request: Request) -> Any:
    return load_json(await read_body(request, JSON_BYTES))


@router.post(
    "/fine_tuning/jobs:estimate",
    dependencies=[needs("jobs:write")],
    openapi_extra=described(JobRequest),
    responses=documented(413),
)
def estimate_job(
    content: Annotated[Any, Depends(_content)], principal: Authenticated, services: InServices
) -> JobEstimate:
    """What the job of this request would take, and everything that is wrong with it at once.
    Makes nothing."""
    with services.database.read() as session:
        lookup = RecordsLookup(session, principal.project_id)
        spec, faults = check(content, lookup, services.settings)
        if spec is None:
            return estimate_object(None, faults, None)
        measured = finished_like(session, principal.project_id, spec.theta0.id, spec.method)
        return estimate_object(spec, faults, estimate(spec, lookup, measured))


@router.get(
    "/fine_tuning/jobs/{job_id}/spec",
    dependencies=[needs("jobs:read")],
    response_model_exclude_unset=True,
    responses=documented(409),
)
def retrieve_spec(job_id: str, principal: Authenticated, services: InServices) -> JobSpecification:
    """The job as the request that gives it again: sent to `POST /v1/fine_tuning/jobs` as it is, it
    makes a job with the same `spec_digest` while files, models and machine are the same."""
    with services.database.read() as session:
        job = jobs.get(session, principal.project_id, job_id)
        request = request_of(job, RecordsLookup(session, principal.project_id))
    return JobSpecification.model_validate(request)
