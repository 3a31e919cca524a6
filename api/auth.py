"""Who is asking: a bearer key stands for one project, and so does a session that one began (see
`api.routes.session`). And whether it may: every route states the one scope it needs, or that any
key will do, or that it is for everybody.

`check_routes` refuses an app with a route that states neither, and `api.context` sends no answer
that none of these dependencies let out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.context import passport
from api.rates import Standing
from api.services import InServices, Opened, Services
from core.access.scopes import ADMIN, SCOPES, Scope, allows
from core.errors import Forbidden, RateLimited, Unauthenticated
from core.records import keys, limits
from core.records.audit import Actor

BEARER = "api_key"  # as the OpenAPI document calls it
COOKIE = "lipsum_session"
ANY_KEY: Literal["any-key"] = "any-key"  # what a route states that needs a key and no scope
_BEARER = HTTPBearer(
    scheme_name=BEARER, auto_error=False, description="An API key of this service."
)


@dataclass(frozen=True)
class Principal:
    """The key that a request came with and the project it opens."""

    project_id: str
    key_id: str
    scopes: frozenset[str]
    expires_at: float | None
    address: str | None
    request_id: str
    session: str | None = None  # the secret of the session that it came by, instead of the key's

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.scopes

    @property
    def reach(self) -> str | None:
        """The project whose keys this key may manage; None when it may manage everybody's."""
        return None if self.is_admin else self.project_id

    @property
    def actor(self) -> Actor:
        """Who the audit log says made a change to what this project owns."""
        return self.acting_on(self.project_id)

    def acting_on(self, project_id: str) -> Actor:
        """The same, of what another project owns."""
        return Actor(project_id, self.key_id, self.address, self.request_id)


async def authenticate(
    request: Request,
    services: InServices,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Principal:
    """The request's principal. Raises Unauthenticated, Forbidden and RateLimited."""
    begun = None
    if "authorization" not in request.headers:
        begun = _session(request)
    secret = begun if begun is not None else _bearer(credentials)
    digest = services.hashing.digest(secret)
    try:
        opened = await services.opened.get(digest, lambda: _open(services, secret))
    except Unauthenticated as error:
        raise error if begun is None else _ended() from error
    key = opened.key
    passed = passport(request.scope)
    services.meter.note(key.project_id, key.id)
    for owner_id, limit in opened.limits.items():
        if limit.requests_per_minute is not None:
            asked = (owner_id, limit.requests_per_minute)
            standing = services.rates.admit_at_once(*asked)
            if standing is None:
                standing = await run_in_threadpool(services.rates.admit, key.project_id, *asked)
            passed.standings.append(standing)
            await check_standing(standing, owner_id, services.settings.refusals_wait)
    return Principal(
        key.project_id,
        key.id,
        frozenset(key.scopes),
        key.expires_at,
        None if request.client is None else request.client.host,
        passed.request_id,
        begun,
    )


def _bearer(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None or not credentials.credentials:
        raise Unauthenticated(
            "No API key was given; send the header `Authorization: Bearer KEY`.",
            code="missing_api_key",
        )
    return credentials.credentials


def _session(request: Request) -> str | None:
    """The session that a browser sent by itself. Raises Forbidden for a change that does not say
    which page asks for it: `api.origin` has only refused those that name a strange one."""
    secret = request.cookies.get(COOKIE)
    if secret and request.method not in ("GET", "HEAD") and "origin" not in request.headers:
        raise Forbidden(
            f"{request.method} {request.scope['path']} came with a session and without an Origin "
            "header, so not from a page of this service; send an API key instead.",
            code="origin_missing",
        )
    return secret or None


def _ended() -> Unauthenticated:
    return Unauthenticated("The session has ended; sign in again.", code="session_ended")


def _open(services: Services, secret: str) -> Opened:
    with services.database.read() as session:
        key = keys.authenticate(session, secret, services.hashing)
        return Opened(key, limits.of(session, [key.id, key.project_id]))


async def check_standing(standing: Standing, owner_id: str, wait: float) -> None:
    """Raises RateLimited, up to `wait` seconds of its time later, where the request was one too
    many: a client that asks again as soon as it is answered then does so once a second."""
    if standing.retry_after is None:
        return
    waited = min(standing.retry_after, wait)
    await asyncio.sleep(waited)
    left = standing.retry_after - waited
    raise RateLimited(
        f"{owner_id} may make {standing.limit} requests a minute and made them; try again "
        f"after {left:.1f} s.",
        retry_after=left,
    )


Authenticated = Annotated[Principal, Depends(authenticate)]


def needs(scope: Scope) -> Any:
    """For a route's `dependencies`: a key with this scope. Raises Forbidden without."""
    return Depends(_PERMITS[scope])


def _permit(scope: Scope) -> Callable[..., Any]:
    async def permit(request: Request, principal: Authenticated) -> None:
        if not allows(principal.scopes, scope):
            held = ", ".join(sorted(principal.scopes)) or "none"
            raise Forbidden(
                f"{request.method} {request.scope['path']} needs the scope {scope}, which the API "
                f"key {principal.key_id} has not; its scopes are {held}. Ask for a key with it.",
                code="missing_scope",
            )
        passport(request.scope).permitted = True

    return permit


async def _let_everybody_in(request: Request) -> None:
    passport(request.scope).permitted = True


async def _let_any_key_in(request: Request, principal: Authenticated) -> None:
    passport(request.scope).permitted = True


everybody = Depends(_let_everybody_in)  # for a route that needs no key and tells no secret
any_key = Depends(_let_any_key_in)  # for a route about the key itself

_PERMITS = {scope: _permit(scope) for scope in SCOPES}
Stated = Scope | Literal["any-key"] | None
_STATED: dict[Callable[..., Any], Stated] = {
    _let_everybody_in: None,
    _let_any_key_in: ANY_KEY,
    **{permit: scope for scope, permit in _PERMITS.items()},
}


def scopes_of_routes(app: FastAPI) -> dict[tuple[str, str], Stated]:
    """The scope that each method and path needs, ANY_KEY or None for everybody's.

    Raises TypeError naming a route that states none or several, or that cannot state one.
    """
    found: dict[tuple[str, str], Stated] = {}
    for context in iter_route_contexts(app.routes):
        path = str(context.path_format or context.path)
        if not isinstance(context.original_route, APIRoute):
            raise TypeError(f"{path} is a {type(context.original_route).__name__}, not an APIRoute")
        calls = [item.call for item in context.dependant.dependencies]
        stated = [_STATED[call] for call in calls if call in _STATED]
        for method in sorted(context.methods or ()):
            if len(stated) != 1:
                raise TypeError(
                    f"{method} {path} states {len(stated)} scopes; give it one: "
                    'dependencies=[needs("...")], or [everybody].'
                )
            found[method, path] = stated[0]
    return found
