"""Which images a job's models answer differently, as a list and as a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from api.auth import Authenticated, needs
from api.changes import changes, of_class, scored, sheet
from api.errors import documented
from api.schemas.predictions import Answer, ChangedImage, ChangedPredictions, ClassChange
from api.services import InServices
from core.jobs.changes import Asked, Change

router = APIRouter(prefix="/fine_tuning/jobs/{job_id}/predictions", tags=["fine-tuning"])

MOST = 96  # images that one picture holds


def _asked(
    split: Annotated[str, Query(max_length=64, description="As the result table names it.")],
    model: Annotated[
        str, Query(max_length=96, description="As the result table names it.")
    ] = "fine_tuned",
    against: Annotated[
        str, Query(max_length=96, description="What is before, `model` being after.")
    ] = "zero_shot",
    change: Annotated[
        Change,
        Query(
            description="gained: wrong before, right after; lost: the other way round; all: every "
            "answer that is another, wrong ones that stay wrong too."
        ),
    ] = "all",
    seed: Annotated[
        int | None, Query(ge=0, le=2**53, description="Default: the job's first.")
    ] = None,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Most images of the page.")] = 48,
) -> Asked:
    return Asked(seed, split, model, against, change, None, offset, limit)


InAsked = Annotated[Asked, Depends(_asked)]
InClass = Annotated[
    str | None,
    Query(
        alias="class",
        max_length=255,
        description="Images of that true class only: its readable name, or its folder.",
    ),
]


@router.get("", dependencies=[needs("jobs:read")], responses=documented(409, 413, 503, 507))
async def list_changed_predictions(
    job_id: str,
    principal: Authenticated,
    services: InServices,
    asked: InAsked,
    class_name: InClass = None,
) -> ChangedPredictions:
    """Images of a split whose answer is another one after than before, and how many each class has
    right before and after. Of the job's own stored predictions; nothing is computed anew."""
    found = await run_in_threadpool(scored, services, principal.project_id, job_id)
    wanted = replace(asked, classes=of_class(found, class_name))
    answer = await to_thread.run_sync(
        changes, services, found, wanted, limiter=services.inspections
    )
    names = found.names
    return ChangedPredictions(
        data=[
            ChangedImage(
                image=key,
                dataset_id=found.versions[asked.split].id,
                label=names[label],
                before=Answer(label=names[was[0]], probability=was[1]),
                after=Answer(label=names[became[0]], probability=became[1]),
            )
            for key, label, was, became in answer["rows"]
        ],
        has_more=asked.offset + len(answer["rows"]) < answer["total"],
        total=answer["total"],
        seed=answer["seed"],
        classes=[
            ClassChange(label=names[label], images=n, right_before=before, right_after=after)
            for label, n, before, after in answer["classes"]
        ],
    )


@router.get(
    "/sheet",
    dependencies=[needs("jobs:read")],
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(409, 413, 503, 507),
    },
)
async def draw_changed_predictions(
    job_id: str,
    principal: Authenticated,
    services: InServices,
    asked: InAsked,
    class_name: InClass = None,
) -> Response:
    """The same images on one picture in the list's order, each over what it was taken for before
    and after. Twelve in a row; image n, from 0, is in the 112 pixels square at x = 6 + 118 (n mod
    12), y = 6 + 150 floor(n / 12). One that cannot be read is a grey square. 404 when no image
    changed in that way."""
    found = await run_in_threadpool(scored, services, principal.project_id, job_id)
    wanted = replace(asked, classes=of_class(found, class_name))
    drawn = await to_thread.run_sync(sheet, services, found, wanted, limiter=services.inspections)
    # Predictions never change; who may see them may have changed after an hour.
    headers = {"cache-control": "private, max-age=3600"}
    return Response(drawn, media_type="image/jpeg", headers=headers)
