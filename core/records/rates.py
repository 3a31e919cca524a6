"""Requests per minute: a bucket for each limited key or project, shared by every API process.

It holds a minute's requests at most and fills up evenly. A process takes several at once and
hands them out itself, so that this is written a few times a minute and not for every request.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.records.clock import now
from core.records.rows import insert_missing
from core.records.tables import RateBucket

MINUTE = 60.0  # seconds
_WHOLE = 1e-9  # what rounding may lack of a whole request


@dataclass(frozen=True)
class Taken:
    """Requests that were granted, and what the bucket holds after it."""

    granted: int
    left: float


def take(session: Session, project_id: str, owner_id: str, per_minute: int, wanted: int) -> Taken:
    """As many of `wanted` requests as there are. `per_minute` is the owner's present limit."""
    full = {
        "owner_id": owner_id,
        "project_id": project_id,
        "tokens": float(per_minute),
        "filled_at": now(),
    }
    insert_missing(session, RateBucket, full, ["owner_id"])
    mine = RateBucket.owner_id == owner_id
    held = select(RateBucket.tokens, RateBucket.filled_at, now()).where(mine).with_for_update()
    tokens, filled_at, at = session.execute(held).one()
    tokens = min(float(per_minute), tokens + max(0.0, at - filled_at) * per_minute / MINUTE)
    granted = min(wanted, int(tokens + _WHOLE))
    left = max(0.0, tokens - granted)
    session.execute(
        update(RateBucket).where(mine).values(tokens=left, filled_at=at),
        execution_options={"synchronize_session": False},
    )
    return Taken(granted, left)
