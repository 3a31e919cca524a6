"""What a job's trainers printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.auth import Authenticated, needs
from api.downloads import documented_download, download
from api.log_stream import MEDIA_TYPE, LogFile, LogStream
from api.services import InServices
from core.records import job_logs, jobs

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


@router.get(
    "/{job_id}/logs",
    dependencies=[needs("jobs:read")],
    response_class=Response,
    responses=documented_download(MEDIA_TYPE),
)
def download_log(
    job_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
    follow: Annotated[
        bool, Query(description="Go on with what is printed, until the job has ended.")
    ] = False,
    offset: Annotated[
        int,
        Query(ge=0, le=2**53, description="With `follow`: bytes of it that are known already."),
    ] = 0,
) -> Response:
    """What the job's trainers printed, in all its attempts, without secrets: the last 10 MB. A
    Range is honoured where the log is not followed."""
    if follow:
        services.feed.require_room()
    with services.database.read() as session:
        job = jobs.get(session, principal.project_id, job_id)
        kept = job_logs.kept(session, job_id)
    if follow:
        return LogStream(services.feed, job, principal.key_id, offset)
    log = LogFile(services.database, kept)
    return download(request, log, log.stored(job_id))
