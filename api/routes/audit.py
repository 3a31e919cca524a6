"""The audit log: who changed what, when and from where."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import Authenticated, needs
from api.routes.keys import OfProject, project_of
from api.schemas.access import AuditObject, audit_object
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices
from core.records import audit

router = APIRouter(prefix="/audit", tags=["access"])


@router.get("", dependencies=[needs("audit:read")])
def list_audit_lines(
    principal: Authenticated,
    services: InServices,
    project: OfProject = None,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[AuditObject]:
    """One page of the changes to what a project owns, newest first unless `order` is `asc`."""
    with services.database.read() as session:
        project_id = project_of(session, principal, project)
        page = audit.list_lines(session, project_id, after=after, order=order, limit=limit)
    return list_of([audit_object(row) for row in page.items], page.has_more)
