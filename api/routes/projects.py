"""Projects, for operators: one for each group of people who share what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends

from api.auth import Authenticated, needs
from api.bodies import described, json_body
from api.errors import documented
from api.schemas.access import (
    ProjectDeleted,
    ProjectObject,
    ProjectRequest,
    project_object,
)
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices
from core.access.limits import ProjectLimits
from core.records import audit, limits, project_deletion, projects
from core.records.tables import Project

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/projects", tags=["access"])


@router.post(
    "",
    dependencies=[needs("admin")],
    openapi_extra=described(ProjectRequest),
    responses=documented(409, 413),
)
def create_project(
    body: Annotated[ProjectRequest, Depends(json_body(ProjectRequest))],
    principal: Authenticated,
    services: InServices,
) -> ProjectObject:
    """A new project, with nothing in it and no key; make one with `POST /v1/keys`."""
    with services.database.write() as session:
        row = projects.create(session, body.name)
        audit.note(session, principal.acting_on(row.id), "project.create", row.id, name=row.name)
    return project_object(row, ProjectLimits())


@router.get("", dependencies=[needs("admin")])
def list_projects(
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[ProjectObject]:
    """One page of all projects."""
    with services.database.read() as session:
        page = projects.list_projects(session, after=after, order=order, limit=limit)
        limited = limits.of_project(session, [row.id for row in page.items])
    return list_of([project_object(row, limited[row.id]) for row in page.items], page.has_more)


@router.get("/{project_id}", dependencies=[needs("admin")])
def retrieve_project(
    project_id: str, principal: Authenticated, services: InServices
) -> ProjectObject:
    """One project."""
    with services.database.read() as session:
        return _whole(session, projects.get(session, project_id))


@router.put(
    "/{project_id}/limits",
    dependencies=[needs("admin")],
    openapi_extra=described(ProjectLimits),
    responses=documented(413),
)
def limit_project(
    project_id: str,
    body: Annotated[ProjectLimits, Depends(json_body(ProjectLimits))],
    principal: Authenticated,
    services: InServices,
) -> ProjectObject:
    """What all keys of the project together are limited to from now on; what is left out is not
    limited."""
    with services.database.write() as session:
        row = projects.get(session, project_id)
        limits.put(session, row.id, row.id, body)
        changed = body.model_dump(exclude_none=True)
        audit.note(session, principal.acting_on(row.id), "project.limit", row.id, **changed)
        return _whole(session, row)


@router.delete("/{project_id}", dependencies=[needs("admin")], responses=documented(409))
def delete_project(
    project_id: str, principal: Authenticated, services: InServices
) -> ProjectDeleted:
    """Its keys open nothing from now on. A worker then stops its jobs and removes all it has:
    files, data sets, models, results, and every row about it."""
    with services.database.write() as session:
        row = project_deletion.request(session, project_id, asked_by=principal.project_id)
        audit.note(session, principal.actor, "project.delete", project_id, name=row.name)
    return ProjectDeleted(id=project_id)


def _whole(session: Session, row: Project) -> ProjectObject:
    return project_object(row, limits.of_project(session, [row.id])[row.id])
