"""What a project and each of its keys used in a month."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Authenticated, needs
from api.routes.keys import OfProject, project_of
from api.schemas.access import UsageObject, usage_object
from api.services import InServices
from core.records import limits, usage
from core.records.usage import MONTH, Month

router = APIRouter(prefix="/usage", tags=["access"])


@router.get("", dependencies=[needs("usage:read")])
def retrieve_usage(
    principal: Authenticated,
    services: InServices,
    month: Annotated[
        str | None,
        Query(
            max_length=32,
            description="YYYY-MM, of UTC. Default: the present one.",
            json_schema_extra={"pattern": f"^{MONTH.pattern}$"},
        ),
    ] = None,
    project: OfProject = None,
) -> UsageObject:
    """Requests (counted every ten seconds), jobs, device seconds and stored bytes."""
    with services.database.read() as session:
        project_id = project_of(session, principal, project)
        asked = Month.present(session) if month is None else Month.named(month)
        report = usage.report(session, project_id, asked)
        limited = limits.of(session, [project_id])[project_id]
    return usage_object(project_id, report, limited)
