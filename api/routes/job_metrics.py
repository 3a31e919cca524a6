"""What was measured while a job trains or trained."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Authenticated, needs
from api.schemas.metrics import PLACE, START, StepMetricsPage, place_of, step_object
from api.services import InServices
from core.records import jobs, metrics

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])

After = Annotated[
    str,
    Query(
        pattern=f"^({START}|{PLACE})$",
        description="SEED.STEP of the last step seen: `0.120`. `start` is before the first.",
    ),
]


@router.get("/{job_id}/metrics", dependencies=[needs("jobs:read")])
def list_metrics(
    job_id: str,
    principal: Authenticated,
    services: InServices,
    after: After = START,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most steps of the page.")] = 1000,
) -> StepMetricsPage:
    """Step metrics as they were reported: loss, penalty and whatever else the method measures. To
    have them as they come, ask for the events' stream with `metrics`."""
    with services.database.read() as session:
        jobs.get(session, principal.project_id, job_id)
        found = metrics.list_steps(session, job_id, place_of(after), limit + 1)
    return StepMetricsPage(
        data=[step_object(measured) for measured in found[:limit]], has_more=len(found) > limit
    )
