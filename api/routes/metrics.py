"""What Prometheus collects."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import Authenticated, needs
from api.observed import Observations
from api.services import InServices

router = APIRouter(tags=["operation"])


@router.get(
    "/metrics",
    dependencies=[needs("metrics:read")],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, principal: Authenticated, services: InServices) -> Response:
    """This process's requests, and the queue, leases and workers of the whole service, in
    Prometheus's text format. Workers have an address of their own for what trainers do."""
    observations: Observations = request.app.state.observations
    text = observations.text(services.database, services.settings.lease_seconds)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
