"""API keys: made, shown, rotated, revoked by keys that may; limited by operators.

A key hands out no more than it has: neither scopes nor life. Otherwise any key that may manage
keys would be a key to everything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query

from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.errors import documented
from api.schemas.access import (
    KeyObject,
    KeyRequest,
    KeyRevoked,
    KeyWithSecret,
    RotationRequest,
    key_fields,
)
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices
from core.access.limits import Limits
from core.access.scopes import ADMIN, beyond
from core.errors import Forbidden, InvalidRequest
from core.records import audit, keys, limits, projects
from core.records.clock import read_clock
from core.records.tables import ApiKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/keys", tags=["access"])

OfProject = Annotated[
    str | None,
    Query(max_length=128, description="Whose. Default: your own project's. Scope admin."),
]


@router.post(
    "", dependencies=[needs("keys")], openapi_extra=described(KeyRequest), responses=documented(413)
)
def create_key(
    body: Annotated[KeyRequest, Depends(json_body(KeyRequest))],
    principal: Authenticated,
    services: InServices,
) -> KeyWithSecret:
    """A new key. Its secret is in this answer and nowhere else."""
    _check_scopes(principal, body.scopes, "hand out")
    with services.database.write() as session:
        project_id = project_of(session, principal, body.project)
        row, secret = keys.create(
            session,
            project_id,
            body.name,
            services.hashing,
            scopes=body.scopes,
            expires_at=_expiry(session, principal, body.expires_in),
        )
        actor = principal.acting_on(project_id)
        audit.note(session, actor, "key.create", row.id, name=row.name, scopes=row.scopes)
    return KeyWithSecret(**key_fields(row, Limits()), secret=secret)


@router.get("", dependencies=[needs("keys")])
def list_keys(
    principal: Authenticated,
    services: InServices,
    project: OfProject = None,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[KeyObject]:
    """One page of a project's keys, revoked ones too, without their secrets."""
    with services.database.read() as session:
        project_id = project_of(session, principal, project)
        page = keys.list_keys(session, project_id, after=after, order=order, limit=limit)
        limited = limits.of(session, [row.id for row in page.items])
    found = [KeyObject(**key_fields(row, limited[row.id])) for row in page.items]
    return list_of(found, page.has_more)


@router.get("/{key_id}", dependencies=[needs("keys")])
def retrieve_key(key_id: str, principal: Authenticated, services: InServices) -> KeyObject:
    """One key, without its secret."""
    with services.database.read() as session:
        return _whole(session, keys.get(session, principal.reach, key_id))


@router.post(
    "/{key_id}/rotate",
    dependencies=[needs("keys")],
    openapi_extra=described(RotationRequest),
    responses=documented(409, 413),
)
def rotate_key(
    key_id: str,
    body: Annotated[RotationRequest, Depends(json_body(RotationRequest))],
    principal: Authenticated,
    services: InServices,
) -> KeyWithSecret:
    """A new secret for the key; the present one stays valid for `overlap` seconds."""
    with services.database.write() as session:
        _check_scopes(principal, keys.get(session, principal.reach, key_id).scopes, "rotate")
        row, secret = keys.rotate(
            session, principal.reach, key_id, services.hashing, float(body.overlap)
        )
        actor = principal.acting_on(row.project_id)
        audit.note(session, actor, "key.rotate", key_id, overlap=body.overlap)
        limited = limits.of(session, [key_id])[key_id]
    return KeyWithSecret(**key_fields(row, limited), secret=secret)


@router.delete("/{key_id}", dependencies=[needs("keys")])
def revoke_key(key_id: str, principal: Authenticated, services: InServices) -> KeyRevoked:
    """The key opens nothing any more, with whichever secret. It stays in lists."""
    with services.database.write() as session:
        row = keys.get(session, principal.reach, key_id)
        _check_scopes(principal, row.scopes, "revoke")
        keys.revoke(session, principal.reach, key_id)
        audit.note(session, principal.acting_on(row.project_id), "key.revoke", key_id)
    return KeyRevoked(id=key_id)


@router.put(
    "/{key_id}/limits",
    dependencies=[needs("admin")],
    openapi_extra=described(Limits),
    responses=documented(413),
)
def limit_key(
    key_id: str,
    body: Annotated[Limits, Depends(json_body(Limits))],
    principal: Authenticated,
    services: InServices,
) -> KeyObject:
    """What the key is limited to from now on; what is left out is not limited."""
    with services.database.write() as session:
        row = keys.get(session, principal.reach, key_id)
        limits.put(session, row.project_id, key_id, body)
        actor = principal.acting_on(row.project_id)
        audit.note(session, actor, "key.limit", key_id, **body.model_dump(exclude_none=True))
        return _whole(session, row)


def project_of(session: Session, principal: Principal, asked: str | None) -> str:
    """The project that a request is about. Raises Forbidden for another's without `admin`,
    whether or not it exists, and NotFound."""
    if asked is None or asked == principal.project_id:
        return principal.project_id
    if not principal.is_admin:
        raise Forbidden(
            f"Only a key with the scope {ADMIN} may name another project than its own, "
            f"{principal.project_id}.",
            code="missing_scope",
            param="project",
        )
    return projects.get(session, asked, param="project").id


def _check_scopes(principal: Principal, wanted: Collection[str], verb: str) -> None:
    missing = beyond(principal.scopes, wanted)
    if missing:
        raise Forbidden(
            f"The API key {principal.key_id} cannot {verb} a key with {', '.join(missing)}, which "
            "it has not itself.",
            code="missing_scope",
            param="scopes",
        )


def _expiry(session: Session, principal: Principal, expires_in: int | None) -> float | None:
    if expires_in is None:
        return principal.expires_at
    expires_at = read_clock(session) + expires_in
    if principal.expires_at is not None and expires_at > principal.expires_at:
        raise InvalidRequest(
            f"expires_in is {expires_in}, after the key that makes it expires; leave it out for "
            "the same moment.",
            code="outlives_its_maker",
            param="expires_in",
        )
    return expires_at


def _whole(session: Session, row: ApiKey) -> KeyObject:
    return KeyObject(**key_fields(row, limits.of(session, [row.id])[row.id]))
