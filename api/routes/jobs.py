"""Fine-tuning jobs: create, watch, cancel, pause, resume, retry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Request
from fastapi.responses import Response

from api import metadata_filter
from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body, optional_json_body
from api.errors import documented
from api.event_stream import LAST_ID, MEDIA_TYPE, event_stream, wants_stream
from api.idempotency import once
from api.metadata_filter import MetadataFilter
from api.schemas.jobs import (
    EVENT_PREFIX,
    CancelRequest,
    FineTuningJob,
    FineTuningJobCheckpoint,
    FineTuningJobEvent,
    checkpoint_object,
    event_object,
    job_object,
)
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.schemas.metrics import PLACE, START, place_of
from api.services import InServices, Services
from core import doorbell
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.jobs.estimate import training_steps
from core.jobs.lookup import RecordsLookup
from core.jobs.request import JobRequest
from core.jobs.resolve import id_of, resolve_job
from core.records import (
    audit,
    events,
    files,
    jobs,
    models,
    quotas,
    results,
    scheduling,
    stopping,
    workers,
)
from core.records.metrics import Place
from core.records.states import ENDED, WAITING
from core.records.tables import Job
from core.validation import shown

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])

_EVENT = re.compile(rf"({EVENT_PREFIX}([a-z0-9]+)-)?([0-9]{{1,15}})")
_DONE = {  # the last event of a stream, which no list has
    "type": "object",
    "required": ["fine_tuning_job_id", "status"],
    "additionalProperties": False,
    "properties": {"fine_tuning_job_id": {"type": "string"}, "status": {"enum": sorted(ENDED)}},
}
_STREAMED = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string"},  # which step metrics have not
        "event": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/FineTuningJobEvent"},
                    {"$ref": "#/components/schemas/StepMetrics"},
                    _DONE,
                ]
            },
        },
    },
}


@router.post(
    "",
    dependencies=[needs("jobs:write")],
    openapi_extra=described(JobRequest),
    responses=documented(409, 413),
)
def create_job(
    request: Request,
    body: Annotated[JobRequest, Depends(json_body(JobRequest))],
    background: BackgroundTasks,
    principal: Authenticated,
    services: InServices,
) -> FineTuningJob:
    """Everything that can be checked is checked now; the job then waits for a worker."""
    job_id = new_id("ftjob")
    written = body.model_dump(mode="json", exclude_unset=True)
    with once(request, services, principal, written) as doing:
        with services.database.read() as session:
            lookup = RecordsLookup(session, principal.project_id)
            spec = resolve_job(body, lookup=lookup, settings=services.settings, job_id=job_id)
            named = {**written, "model": id_of(body.model, lookup)}  # an alias may move
        with services.database.write() as session:
            quotas.check_jobs(session, principal.project_id, principal.key_id)
            job = jobs.create(
                session,
                principal.project_id,
                spec,
                named,
                key_id=principal.key_id,
                steps=training_steps(spec),
            )
            audit.note(session, principal.actor, "job.create", job_id)
            answer = _new(services, session, job)
            doing.answer(session, answer)
    background.add_task(doorbell.ring, services.settings)  # the answer waits for no broker
    return answer


@router.get("", dependencies=[needs("jobs:read")], openapi_extra=metadata_filter.OPENAPI)
def list_jobs(
    principal: Authenticated,
    services: InServices,
    wanted: Annotated[MetadataFilter, Depends(metadata_filter.metadata_filter)],
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[FineTuningJob]:
    """One page of the project's jobs, without their results and transitions."""
    with services.database.read() as session:
        page = jobs.list_jobs(
            session,
            principal.project_id,
            metadata=wanted.pairs,
            without_metadata=wanted.is_null,
            after=after,
            order=order,
            limit=limit,
        )
        made = _result_files(session, principal, page.items)
        places = scheduling.queue_positions(session, page.items)
    return list_of(
        [job_object(job, made[job.id], places.get(job.id)) for job in page.items], page.has_more
    )


@router.get("/{job_id}", dependencies=[needs("jobs:read")])
def retrieve_job(job_id: str, principal: Authenticated, services: InServices) -> FineTuningJob:
    """One job, with its results and every status it had."""
    with services.database.read() as session:
        return _whole(services, session, principal, job_id)


@router.post(
    "/{job_id}/cancel",
    dependencies=[needs("jobs:write")],
    openapi_extra=described(CancelRequest, required=False),
    responses=documented(409),
)
def cancel_job(
    job_id: str,
    request: Request,
    body: Annotated[CancelRequest, Depends(optional_json_body(CancelRequest))],
    background: BackgroundTasks,
    principal: Authenticated,
    services: InServices,
) -> FineTuningJob:
    """A job that waits is cancelled at once; one that runs, or whose checkpoint is to be kept, is
    `cancelling` meanwhile."""
    asked = body.model_dump(mode="json")
    with once(request, services, principal, asked) as doing, services.database.write() as session:
        jobs.request_cancel(session, principal.project_id, job_id, keep=body.keep_checkpoint)
        audit.note(session, principal.actor, "job.cancel", job_id)
        answer = _whole(services, session, principal, job_id)
        doing.answer(session, answer)
    background.add_task(doorbell.ring, services.settings)  # its worker need not wait for a pulse
    return answer


@router.post("/{job_id}/pause", dependencies=[needs("jobs:write")], responses=documented(409))
def pause_job(
    job_id: str, background: BackgroundTasks, principal: Authenticated, services: InServices
) -> FineTuningJob:
    """A job that waits is `paused` at once; one that runs goes on until its state is saved."""
    return _moved(services, principal, background, job_id, "pause", stopping.request_pause)


@router.post("/{job_id}/resume", dependencies=[needs("jobs:write")], responses=documented(409))
def resume_job(
    job_id: str, background: BackgroundTasks, principal: Authenticated, services: InServices
) -> FineTuningJob:
    """A paused job waits for a worker, and goes on from its last checkpoint."""
    return _moved(services, principal, background, job_id, "resume", stopping.resume)


@router.post("/{job_id}/retry", dependencies=[needs("jobs:write")], responses=documented(409))
def retry_job(
    job_id: str, background: BackgroundTasks, principal: Authenticated, services: InServices
) -> FineTuningJob:
    """A failed job waits for a worker again, and goes on from its last checkpoint. Limits count it
    like a new one."""

    def retry(session: Session, project_id: str, job_id: str) -> None:
        if jobs.get(session, project_id, job_id).status == "failed":
            quotas.check_jobs(session, project_id, principal.key_id)
        stopping.retry(session, project_id, job_id)

    return _moved(services, principal, background, job_id, "retry", retry)


@router.get(
    "/{job_id}/events",
    dependencies=[needs("jobs:read")],
    response_model=ListOf[FineTuningJobEvent],
    responses={
        200: {"content": {MEDIA_TYPE: {"itemSchema": _STREAMED}}},
        204: {"description": "The stream was over."},
    },
)
def list_events(
    job_id: str,
    request: Request,
    principal: Authenticated,
    services: InServices,
    after: Annotated[
        str | None,
        Query(
            max_length=128,
            description="Id or sequence of the last event seen.",
            json_schema_extra={"pattern": f"^{_EVENT.pattern}$"},
        ),
    ] = None,
    limit: Limit = 20,
    order: Order = "desc",
    stream: Annotated[
        bool, Query(description="Stream all events after `after`, as they come, until the end.")
    ] = False,
    metrics: Annotated[
        str | None,
        Query(
            pattern=f"^({START}|{PLACE})$",
            description="With a stream: also step metrics after that SEED.STEP, or from the "
            "`start`, as `event: metrics`.",
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            max_length=128,
            description="Where a stream goes on: its last id seen.",
            json_schema_extra={"pattern": f"^({_EVENT.pattern}|{LAST_ID})$"},
        ),
    ] = None,
) -> ListOf[FineTuningJobEvent] | Response:
    """One page of the job's events, newest first unless `order` is `asc`.

    With `stream=true`, or `Accept: text/event-stream`, the same events as Server-Sent Events,
    oldest first from `Last-Event-ID` or `after`, and new ones as they come. `event: done` says
    that the job has ended; `limit` and `order` are of no meaning then.
    """
    seen = _sequence(job_id, after, "after")
    is_over = last_event_id == LAST_ID
    last = None if is_over else _sequence(job_id, last_event_id, "last-event-id")
    if wants_stream(request, stream):
        start = seen or 0 if last is None else last
        place = None if metrics is None else place_of(metrics)
        return _stream(services, principal, job_id, None if is_over else start, place)
    with services.database.read() as session:
        page = events.list_events(
            session,
            principal.project_id,
            job_id,
            after=seen,
            order=order,
            limit=limit,
        )
    return list_of([event_object(event) for event in page.items], page.has_more)


@router.get("/{job_id}/checkpoints", dependencies=[needs("jobs:read")])
def list_checkpoints(
    job_id: str,
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 10,
) -> ListOf[FineTuningJobCheckpoint]:
    """One page of the job's checkpoints, newest first."""
    with services.database.read() as session:
        jobs.get(session, principal.project_id, job_id)
        page = models.checkpoints(session, principal.project_id, job_id, after=after, limit=limit)
    return list_of([checkpoint_object(model) for model in page.items], page.has_more)


def _stream(
    services: Services,
    principal: Principal,
    job_id: str,
    after: int | None,
    metrics_after: Place | None,
) -> Response:
    services.feed.require_room()
    with services.database.read() as session:
        job = jobs.get(session, principal.project_id, job_id)
    return event_stream(services.feed, job, principal.key_id, after, metrics_after)


def _moved(
    services: Services,
    principal: Principal,
    background: BackgroundTasks,
    job_id: str,
    verb: str,
    move: Callable[[Session, str, str], object],
) -> FineTuningJob:
    with services.database.write() as session:
        move(session, principal.project_id, job_id)
        audit.note(session, principal.actor, f"job.{verb}", job_id)
        answer = _whole(services, session, principal, job_id)
    background.add_task(doorbell.ring, services.settings)
    return answer


def _new(services: Services, session: Session, job: Job) -> FineTuningJob:
    """A job that was just made: it has no files and no results to look for."""
    places = scheduling.queue_positions(session, [job])
    transitions = jobs.list_transitions(session, job.project_id, job.id)
    start = _start(services, session, job)
    return job_object(job, [], places.get(job.id), transitions, [], start)


def _whole(
    services: Services, session: Session, principal: Principal, job_id: str
) -> FineTuningJob:
    job = jobs.get(session, principal.project_id, job_id)
    made = _result_files(session, principal, [job])
    places = scheduling.queue_positions(session, [job])
    transitions = jobs.list_transitions(session, principal.project_id, job_id)
    table = results.list_split_results(session, principal.project_id, job_id)
    start = _start(services, session, job)
    return job_object(job, made[job_id], places.get(job_id), transitions, table, start)


def _start(services: Services, session: Session, job: Job) -> float | None:
    if job.status not in WAITING:
        return None
    working = workers.live(session, services.settings.lease_seconds)
    return scheduling.estimated_starts(session, [job], working).get(job.id)


def _result_files(session: Session, principal: Principal, found: list[Job]) -> dict[str, list[str]]:
    made = files.result_files(session, principal.project_id, [job.id for job in found])
    return {job_id: [row.id for row in rows] for job_id, rows in made.items()}


def _sequence(job_id: str, event: str | None, param: str) -> int | None:
    """The sequence that an event's id ends with, or is. Raises InvalidRequest, and NotFound for
    another job's event."""
    if event is None:
        return None
    found = _EVENT.fullmatch(event)
    if found is None:
        raise InvalidRequest(
            f"{param} is {shown(event)}; it must be the id or the sequence of one of this job's "
            "events.",
            param=param,
        )
    _, job, sequence = found.groups()
    if job not in (None, job_id.removeprefix("ftjob-")):
        raise NotFound(f"Job {job_id} has no event {event}.", param=param)
    return int(sequence)
