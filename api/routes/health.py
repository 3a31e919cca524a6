"""Whether the API answers. Public, and so without any details."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import everybody
from api.schemas.health import Health

router = APIRouter(tags=["service"])


@router.get("/healthz", dependencies=[everybody])
async def health() -> Health:
    """The API answers."""
    return Health()
