"""Aliases: names that point at models, moved in one step and moved back."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool

from api.asked_models import asked_model, stored_weights
from api.auth import Authenticated, Principal, needs
from api.bodies import described, json_body
from api.errors import documented
from api.idempotency import Doing, once_awaited
from api.predictions import load
from api.schemas.aliases import AliasDeleted, AliasObject, AliasRequest, alias_object
from api.schemas.lists import After, Limit, ListOf, Order, list_of
from api.services import InServices, Services
from core.errors import NotFound, Unavailable
from core.ids import ALIAS
from core.records import aliases, audit
from core.records.tables import Alias

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/aliases", tags=["models"])

Named = Annotated[str, Path(pattern=f"^{ALIAS.pattern}$")]


@router.get("", dependencies=[needs("models:read")])
def list_aliases(
    principal: Authenticated,
    services: InServices,
    after: After = None,
    limit: Limit = 20,
    order: Order = "desc",
) -> ListOf[AliasObject]:
    """One page of the project's aliases."""
    with services.database.read() as session:
        page = aliases.list_aliases(
            session, principal.project_id, after=after, order=order, limit=limit
        )
    return list_of([alias_object(row) for row in page.items], page.has_more)


@router.get("/{alias}", dependencies=[needs("models:read")])
def retrieve_alias(alias: Named, principal: Authenticated, services: InServices) -> AliasObject:
    """One alias."""
    with services.database.read() as session:
        return alias_object(aliases.get(session, principal.project_id, alias))


@router.put(
    "/{alias}",
    dependencies=[needs("models:write")],
    openapi_extra=described(AliasRequest),
    responses=documented(409, 413, 507),
)
async def point_alias(
    alias: Named,
    body: Annotated[AliasRequest, Depends(json_body(AliasRequest))],
    principal: Authenticated,
    services: InServices,
) -> AliasObject:
    """Makes the alias, or moves it. The model is loaded before, so that nobody waits for it: one
    request is answered by the old model and the next by the new one, and none by neither."""
    await _warm(services, principal, body.model)
    row = await run_in_threadpool(_point, services, principal, alias, body)
    return alias_object(row)


@router.post(
    "/{alias}/rollback", dependencies=[needs("models:write")], responses=documented(409, 507)
)
async def roll_back_alias(
    alias: Named, request: Request, principal: Authenticated, services: InServices
) -> AliasObject:
    """Points the alias at the model before this one; a second time, and it is where it was."""
    async with once_awaited(request, services, principal, {"alias": alias}) as doing:
        before = await run_in_threadpool(_previous, services, principal, alias)
        if before is not None:
            with suppress(NotFound):  # a deleted one is refused below
                await _warm(services, principal, before)
        return await run_in_threadpool(_roll_back, services, principal, alias, doing)


@router.delete("/{alias}", dependencies=[needs("models:write")])
def delete_alias(alias: Named, principal: Authenticated, services: InServices) -> AliasDeleted:
    """The name means nothing any more; the model stays."""
    with services.database.write() as session:
        aliases.remove(session, principal.project_id, alias)
        audit.note(session, principal.actor, "alias.delete", alias)
    return AliasDeleted(name=alias)


async def _warm(services: Services, principal: Principal, name: str) -> None:
    """The inference process has that model in memory, if there is one that answers.

    Raises NotFound, and StorageFault for weights that cannot be loaded: nobody is pointed at them.
    """
    row = await asked_model(services, principal, name, "model")
    try:
        await load(services.inference, stored_weights(services, row))
    except Unavailable as fault:  # it will load it when it is there again
        log.warning("alias_not_warmed", model=row.id, code=fault.code)


def _point(services: Services, principal: Principal, alias: str, body: AliasRequest) -> Alias:
    with services.database.write() as session:
        row = aliases.point(session, principal.project_id, alias, body.model, body.expected_model)
        audit.note(session, principal.actor, "alias.point", alias, model=row.model_id)
    return row


def _previous(services: Services, principal: Principal, alias: str) -> str | None:
    with services.database.read() as session:
        return aliases.get(session, principal.project_id, alias).previous_model_id


def _roll_back(services: Services, principal: Principal, alias: str, doing: Doing) -> AliasObject:
    with services.database.write() as session:
        row = aliases.roll_back(session, principal.project_id, alias)
        audit.note(session, principal.actor, "alias.roll_back", alias, model=row.model_id)
        answer = alias_object(row)
        doing.answer(session, answer)
    return answer
