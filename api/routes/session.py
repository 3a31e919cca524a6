"""A browser's session: a key is exchanged for a cookie that no script can read.

The cookie holds a further secret of the key, which ends by itself: what the key may the session
may, and with the key it is revoked, rotated and limited. Only the page uses this; the OpenAPI
document leaves it out, since clients have the key itself.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.auth import COOKIE, Authenticated, Principal, any_key
from api.services import InServices, Services
from core.errors import Forbidden
from core.records import audit, key_secrets, keys

router = APIRouter(prefix="/session", include_in_schema=False, dependencies=[any_key])


class SessionObject(BaseModel):
    """Who the page acts for."""

    project: str
    key_id: str
    key_name: str
    scopes: list[str]


@router.post("")
def begin_session(
    request: Request, response: Response, principal: Authenticated, services: InServices
) -> SessionObject:
    """The key that came with the request, as a cookie. A session begins no other: it would
    never end."""
    if principal.session is not None:
        raise Forbidden("Send the API key in the Authorization header.", code="key_needed")
    seconds = services.settings.session_hours * 3600
    secret = key_secrets.new_secret()
    with services.database.write() as session:
        key_secrets.remove_ended(session, principal.key_id)
        key_secrets.add(session, principal.key_id, secret, services.hashing, seconds)
        audit.note(session, principal.actor, "session.create", principal.key_id)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(seconds),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return _session_object(services, principal)


@router.get("")
def retrieve_session(principal: Authenticated, services: InServices) -> SessionObject:
    """Who is signed in."""
    return _session_object(services, principal)


@router.delete("")
def end_session(
    response: Response, principal: Authenticated, services: InServices
) -> SessionObject:
    """The session that the request came by opens nothing any more. A key stays what it is."""
    found = _session_object(services, principal)
    with services.database.write() as session:
        if principal.session is not None:
            key_secrets.remove(session, principal.session, services.hashing)
        audit.note(session, principal.actor, "session.delete", principal.key_id)
    response.delete_cookie(COOKIE, path="/")
    return found


def _session_object(services: Services, principal: Principal) -> SessionObject:
    with services.database.read() as session:
        key = keys.get(session, principal.project_id, principal.key_id)
    return SessionObject(
        project=principal.project_id,
        key_id=key.id,
        key_name=key.name,
        scopes=sorted(principal.scopes),
    )
