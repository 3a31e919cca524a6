"""Requests that make something, remembered so that a repetition makes nothing further.

A request is noted before it is carried out and answered in the transaction that makes what it
asks for, so there is never one without the other, wherever the process dies. A repetition is one
with the same `Idempotency-Key`, or, of clients that send none and count their retries, one with
the same fingerprint shortly after. Whoever takes over a request that was left half-way has a new
token, and the first comer can then neither answer nor commit what it made.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, exists, insert, select, update
from sqlalchemy.orm import Session, aliased

from core.errors import Busy, Conflict
from core.ids import new_id
from core.records.clock import now
from core.records.rows import first
from core.records.tables import ApiKey, IdempotentRequest

RETRY_SECONDS = 600.0  # within which a retry is of a request with its fingerprint
KEEP_SECONDS = 86_400.0  # that a request and its answer are remembered
RUNNING_SECONDS = 60.0  # after which a request that was not answered may be taken over
_FORGET_LIMIT = 1000


@dataclass(frozen=True)
class Begun:
    """A request that is to be carried out now, and by nobody else."""

    id: str
    token: str


def begin(
    session: Session,
    project_id: str,
    key_id: str,
    fingerprint: str,
    *,
    idempotency_key: str | None,
    is_retry: bool,
) -> Begun | dict[str, Any]:
    """Notes the request, or gives the answer that it had already.

    Raises Busy while another try of it runs, and Conflict for a key that stands for another
    request.
    """
    if idempotency_key is None and not is_retry:
        return _note(session, project_id, key_id, fingerprint, None)
    _hold_key(session, key_id)
    before = _find(session, key_id, fingerprint, idempotency_key)
    if before is None:
        return _note(session, project_id, key_id, fingerprint, idempotency_key)
    if before.fingerprint != fingerprint and before.status != "failed":
        raise Conflict(
            f"The Idempotency-Key {idempotency_key!r} was used for another request; send each "
            "request with a key of its own.",
            code="idempotency_key_reused",
        )
    if before.status == "answered":
        assert before.answer is not None
        return before.answer
    return _take_over(session, before, fingerprint)


def answer(session: Session, begun: Begun, content: dict[str, Any]) -> None:
    """The request's answer, in the transaction that makes what it tells of. Raises Busy, and
    nothing may be committed, when another try has taken over."""
    mine = _mine(begun)
    values = {"status": "answered", "answer": content}
    if not _set(session, mine, values):
        raise Busy("Another try of the same request was faster; repeat it for its answer.")


def fail(session: Session, begun: Begun) -> None:
    """Nothing was made: the next try begins anew."""
    _set(session, _mine(begun), {"status": "failed"})


def withdraw(session: Session, begun: Begun) -> None:
    """The request as such was refused, and a repetition would be too: it need not be remembered.

    It stays noted as failed where equal requests without a key are remembered: its repetition
    must not be given their answer.
    """
    equal = aliased(IdempotentRequest)
    would_be_found = exists().where(
        equal.key_id == IdempotentRequest.key_id,
        equal.fingerprint == IdempotentRequest.fingerprint,
        equal.idempotency_key.is_(None),
        equal.id != IdempotentRequest.id,
    )
    session.execute(
        delete(IdempotentRequest).where(
            *_mine(begun), IdempotentRequest.idempotency_key.is_not(None) | ~would_be_found
        ),
        execution_options={"synchronize_session": False},
    )
    fail(session, begun)


def forget(session: Session) -> int:
    """Deletes what is older than KEEP_SECONDS, some of it at a time; how many."""
    old = select(IdempotentRequest.id).where(IdempotentRequest.created_at < now() - KEEP_SECONDS)
    gone = session.execute(
        delete(IdempotentRequest)
        .where(IdempotentRequest.id.in_(old.limit(_FORGET_LIMIT)))
        .returning(IdempotentRequest.id),
        execution_options={"synchronize_session": False},
    )
    return len(gone.all())


def _hold_key(session: Session, key_id: str) -> None:
    """Retries with one API key go one by one here: each sees what the one before noted."""
    session.execute(select(ApiKey.id).where(ApiKey.id == key_id).with_for_update())


def _find(
    session: Session, key_id: str, fingerprint: str, idempotency_key: str | None
) -> IdempotentRequest | None:
    """The newest try of it, locked until the transaction ends."""
    same: Select[Any] = select(IdempotentRequest).where(IdempotentRequest.key_id == key_id)
    if idempotency_key is None:
        same = same.where(
            IdempotentRequest.fingerprint == fingerprint,
            IdempotentRequest.idempotency_key.is_(None),
            IdempotentRequest.created_at > now() - RETRY_SECONDS,
        )
    else:
        same = same.where(IdempotentRequest.idempotency_key == idempotency_key)
    newest = same.order_by(IdempotentRequest.created_at.desc(), IdempotentRequest.id).limit(1)
    return first(session, newest.with_for_update(), IdempotentRequest)


def _note(
    session: Session, project_id: str, key_id: str, fingerprint: str, idempotency_key: str | None
) -> Begun:
    begun = Begun(new_id("request"), secrets.token_hex(16))
    session.execute(
        insert(IdempotentRequest).values(
            id=begun.id,
            project_id=project_id,
            key_id=key_id,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            status="running",
            token=begun.token,
            gives_up_at=now() + RUNNING_SECONDS,
            created_at=now(),
        )
    )
    return begun


def _take_over(session: Session, before: IdempotentRequest, fingerprint: str) -> Begun:
    begun = Begun(before.id, secrets.token_hex(16))
    left = (
        IdempotentRequest.id == before.id,
        (IdempotentRequest.status == "failed") | (IdempotentRequest.gives_up_at < now()),
    )
    values = {
        "token": begun.token,
        "fingerprint": fingerprint,
        "status": "running",
        "gives_up_at": now() + RUNNING_SECONDS,
        "created_at": now(),
    }
    if not _set(session, left, values):
        raise Busy("The same request is being carried out; repeat it in a moment for its answer.")
    return begun


def _mine(begun: Begun) -> tuple[Any, ...]:
    return (
        IdempotentRequest.id == begun.id,
        IdempotentRequest.token == begun.token,
        IdempotentRequest.status == "running",
    )


def _set(session: Session, which: tuple[Any, ...], values: dict[str, Any]) -> bool:
    changed = session.execute(
        update(IdempotentRequest).where(*which).values(**values).returning(IdempotentRequest.id),
        execution_options={"synchronize_session": False},
    )
    return changed.first() is not None
