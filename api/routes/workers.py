"""The workers that run, for operators."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import Authenticated, needs
from api.schemas.lists import ListOf, list_of
from api.schemas.workers import WorkerObject, worker_object
from api.services import InServices
from core.records import workers

router = APIRouter(prefix="/workers", tags=["operation"])


@router.get("", dependencies=[needs("admin")])
def list_workers(principal: Authenticated, services: InServices) -> ListOf[WorkerObject]:
    """All of them, the oldest first. One that was not heard of for the length of a lease is left
    out."""
    with services.database.read() as session:
        found = workers.live(session, services.settings.lease_seconds)
        held = workers.held_jobs(session)
    return list_of([worker_object(row, held.get(row.owner, [])) for row in found], has_more=False)
