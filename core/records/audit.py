"""The audit log: a line for every change, written in the transaction that makes the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.ids import new_id
from core.records.clean import clean_json
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.tables import AuditLine


@dataclass(frozen=True)
class Actor:
    """Who makes a change, on whose things, and from where."""

    project_id: str
    key_id: str | None  # None is the operator at the command line
    address: str | None = None
    request_id: str | None = None


def note(session: Session, actor: Actor, action: str, object_id: str, **details: Any) -> None:
    """`actor` does `action` (what.verb) to the object in this transaction, or nobody does."""
    session.execute(
        insert(AuditLine).values(
            id=new_id("audit"),
            project_id=actor.project_id,
            key_id=actor.key_id,
            action=action,
            object_id=object_id,
            address=actor.address,
            request_id=actor.request_id,
            details=clean_json(details) or None,
            created_at=now(),
        )
    )


def list_lines(
    session: Session,
    project_id: str,
    *,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[AuditLine]:
    """One page of the changes to what the project owns."""
    owned = AuditLine.project_id == project_id
    return paginate(session, AuditLine, owned, after=after, order=order, limit=limit)
