"""Who is asking: a bearer key, looked up by its digest, stands for one project."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import InServices, Services
from core.errors import Unauthenticated, Unavailable
from core.records import keys
from core.records.tables import ApiKey

_BEARER = HTTPBearer(auto_error=False, description="An API key of this service.")


@dataclass(frozen=True)
class Principal:
    """The key that a request came with and the project it opens."""

    project_id: str
    key_id: str


def authenticate(
    services: InServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Principal:
    """The request's principal. Raises Unauthenticated."""
    if credentials is None or not credentials.credentials:
        raise Unauthenticated(
            "No API key was given; send the header `Authorization: Bearer KEY`.",
            code="missing_api_key",
        )
    with services.database.read() as session:
        key = keys.authenticate(session, credentials.credentials)
    _note_use(services, key)
    return Principal(key.project_id, key.id)


Authenticated = Annotated[Principal, Depends(authenticate)]


def _note_use(services: Services, key: ApiKey) -> None:
    """Mostly nothing: a write for every request would queue readers behind SQLite's one lock."""
    if key.last_used_at is not None and time.time() - key.last_used_at < keys.TOUCH_SECONDS:
        return
    with suppress(Unavailable), services.database.write() as session:
        keys.touch(session, key.id)
