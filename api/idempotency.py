"""A POST that makes something is done once, however often it arrives.

    with once(request, services, principal, fields) as doing:
        with services.database.write() as session:
            ...
            answer = ...
            doing.answer(session, answer)
    return answer

What arrives again is answered as before: by the same `Idempotency-Key`, or, since OpenAI's SDK
sends none and repeats a POST byte for byte with a count of its tries, by a count above zero and
the same fields. Fields are parsed ones with the digest of content: a multipart body has another
boundary each time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api.auth import Principal
from api.errors import status_of
from api.services import Services
from core.errors import Busy, InvalidRequest, RateLimited, ServiceError, Unavailable
from core.records import idempotency
from core.records.engine import Session
from core.records.idempotency import Begun
from core.validation import shown

KEY_HEADER = "idempotency-key"
RETRY_HEADER = "x-stainless-retry-count"
REPLAYED_HEADER = "idempotent-replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Doing:
    """A request that is being carried out by us alone."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun
        self._is_answered = False

    def answer(self, session: Session, made: BaseModel) -> None:
        """What to say, now and when it arrives again. In the transaction that makes it."""
        idempotency.answer(session, self.begun, made.model_dump(mode="json"))
        self._is_answered = True

    def check(self) -> None:
        """Whatever was made was said."""
        assert self._is_answered, "the block made something and did not say what"


class Answered(Exception):
    """The request was carried out before; `content` is what was said then."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__("answered before")
        self.content = content


@contextmanager
def once(
    request: Request, services: Services, principal: Principal, fields: Mapping[str, Any]
) -> Iterator[Doing]:
    """The block carries the request out, unless that was done. Call it in a thread.

    Raises Answered, which becomes the first answer; Busy while another try runs; Conflict for a
    key that was used for another request. A block that raises has made nothing, and a repetition
    of it begins anew; what was refused for its own fault is not even remembered.
    """
    doing = _begin(request, services, principal, fields)
    try:
        yield doing
        doing.check()
    except BaseException as error:
        _give_up(services, doing, error)
        raise


@asynccontextmanager
async def once_awaited(
    request: Request, services: Services, principal: Principal, fields: Mapping[str, Any]
) -> AsyncIterator[Doing]:
    """`once` for a block that waits for something, in the event loop."""
    doing = await run_in_threadpool(_begin, request, services, principal, fields)
    try:
        yield doing
        doing.check()
    except BaseException as error:
        await run_in_threadpool(_give_up, services, doing, error)
        raise


def fingerprint(request: Request, fields: Mapping[str, Any]) -> str:
    """Equal for requests that ask for the same."""
    asked = [request.method, request.url.path, fields]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def install(app: FastAPI) -> None:
    """Makes Answered an answer of the app's routes."""
    app.add_exception_handler(Answered, _on_answered)


def _begin(
    request: Request, services: Services, principal: Principal, fields: Mapping[str, Any]
) -> Doing:
    with services.database.write() as session:
        found = idempotency.begin(
            session,
            principal.project_id,
            principal.key_id,
            fingerprint(request, fields),
            idempotency_key=_key_of(request),
            is_retry=_tries_before(request) > 0,
        )
    if not isinstance(found, Begun):
        raise Answered(found)
    return Doing(found)


def _give_up(services: Services, doing: Doing, error: BaseException) -> None:
    end = idempotency.withdraw if _is_refusal(error) else idempotency.fail
    with suppress(Unavailable), services.database.write() as session:
        end(session, doing.begun)


def _is_refusal(error: BaseException) -> bool:
    """Whether the fault is the request's own, so that a repetition would meet it again."""
    if not isinstance(error, ServiceError) or isinstance(error, (Busy, RateLimited)):
        return False
    return status_of(error) < 500


async def _on_answered(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Answered)
    return JSONResponse(error.content, headers={REPLAYED_HEADER: "true"})


def _key_of(request: Request) -> str | None:
    key = request.headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"The Idempotency-Key is {shown(key)}; it must be 1 to 255 printable ASCII "
            "characters without spaces, such as a UUID.",
            code="invalid_idempotency_key",
        )
    return key


def _tries_before(request: Request) -> int:
    count = request.headers.get(RETRY_HEADER, "")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 9 else 0
