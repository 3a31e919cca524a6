"""Whether the API answers, and can work. Public, and so without any details."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import everybody
from api.errors import documented
from api.schemas.health import Health
from api.services import InServices, Services
from core.errors import StorageFault, Unavailable
from core.records.clock import read_clock

router = APIRouter(tags=["service"])


@router.get("/readyz", dependencies=[everybody], responses=documented(503))
def readiness(services: InServices) -> Health:
    """The API can do its work: the database and the object store answer it."""
    away = [name for name, is_there in _NEEDED.items() if not is_there(services)]
    if away:
        raise Unavailable(
            f"Not ready: no answer from the {' and the '.join(away)}.", code="not_ready"
        )
    return Health()


@router.get("/healthz", dependencies=[everybody])
async def health() -> Health:
    """The API answers."""
    return Health()


def _has_database(services: Services) -> bool:
    try:
        with services.database.read() as session:
            read_clock(session)
    except Unavailable:
        return False
    return True


def _has_store(services: Services) -> bool:
    try:
        services.store.exists(_ANY_KEY)
    except StorageFault:
        return False
    return True


_ANY_KEY = "readyz"  # nothing has it
_NEEDED = {"database": _has_database, "object store": _has_store}
