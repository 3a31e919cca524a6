"""Lists in pages that neither skip nor repeat a row when others are inserted meanwhile.

A page begins after the row that the caller saw last (a keyset), ordered by creation time and,
where times are equal, id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.rows import every
from core.records.tables import (
    Alias,
    ApiKey,
    AuditLine,
    Comparison,
    DatasetVersion,
    File,
    Job,
    Model,
    Project,
    Upload,
    UploadPart,
    WebhookDelivery,
    WebhookEndpoint,
)

Order = Literal["asc", "desc"]
MAX_LIMIT = 1000

Item = TypeVar("Item")
Listed = TypeVar(
    "Listed",
    Alias,
    ApiKey,
    AuditLine,
    Comparison,
    DatasetVersion,
    File,
    Job,
    Model,
    Project,
    Upload,
    UploadPart,
    WebhookDelivery,
    WebhookEndpoint,
)


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Items in the order asked for, and whether more follow."""

    items: list[Item]
    has_more: bool


def paginate(
    session: Session,
    kind: type[Listed],
    owned: ColumnElement[bool],
    filters: Sequence[ColumnElement[bool]] = (),
    *,
    after: str | None,
    order: Order,
    limit: int,
) -> Page[Listed]:
    """One page of the rows that are `owned` by the caller and pass the filters.

    `after` is the id of the last row seen; NotFound when the caller owns no such row. A row that
    no longer passes the filters (deleted since) still marks its place.
    """
    statement = select(kind).where(owned, *filters)
    if after is not None:
        seen = session.execute(
            select(kind.created_at, kind.id).where(owned, kind.id == after)
        ).first()
        if seen is None:
            raise NotFound(f"There is no {after!r} to continue after.", param="after")
        place = tuple_(kind.created_at, kind.id)
        mark = tuple_(*seen)
        statement = statement.where(place > mark if order == "asc" else place < mark)
    by = (kind.created_at, kind.id)
    statement = statement.order_by(*(column if order == "asc" else column.desc() for column in by))
    return cut(every(session, statement.limit(clamp(limit) + 1), kind), limit)


def clamp(limit: int) -> int:
    """A page's size: at least 1, at most MAX_LIMIT."""
    return max(1, min(limit, MAX_LIMIT))


def cut(items: list[Item], limit: int) -> Page[Item]:
    """A page of `items`, which were read with one more than the limit."""
    size = clamp(limit)
    return Page(items[:size], len(items) > size)
