"""Reading rows so that they outlive their transaction, and inserts that tolerate a twin.

A row is taken out of the session as soon as it is read. Otherwise the session would hand out its
first copy again after an UPDATE, and an assignment to a column would become a write of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.records.tables import Base

Row = TypeVar("Row", bound=Base)


def first(session: Session, statement: Executable, kind: type[Row]) -> Row | None:
    """The first row of the statement's only column, detached; None when there is none."""
    row = session.execute(statement, execution_options=_PLAIN).scalars().first()
    if row is None:
        return None
    assert isinstance(row, kind)
    session.expunge(row)
    return row


def every(session: Session, statement: Executable, kind: type[Row]) -> list[Row]:
    """All rows of the statement's only column, detached."""
    rows: list[Row] = list(session.execute(statement, execution_options=_PLAIN).scalars())
    for row in rows:
        assert isinstance(row, kind)
        session.expunge(row)
    return rows


def insert_missing(
    session: Session, kind: type[Base], values: dict[str, Any], key: Sequence[str]
) -> None:
    """Inserts a row unless one with its key exists."""
    statement = _insert(session, kind).values(**values)
    session.execute(statement.on_conflict_do_nothing(index_elements=key))


def upsert(
    session: Session,
    kind: type[Base],
    values: dict[str, Any] | list[dict[str, Any]],
    key: Sequence[str],
    replace: Sequence[str],
) -> None:
    """Inserts rows; where the key exists, the `replace` columns take the new values.

    A single row may hold SQL expressions.
    """
    statement = _insert(session, kind)
    changed = {name: statement.excluded[name] for name in replace}
    statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    if isinstance(values, dict):
        session.execute(statement.values(**values))
    elif values:
        session.execute(statement, values)


def add_up(
    session: Session, kind: type[Base], values: dict[str, Any], key: Sequence[str], column: str
) -> None:
    """Inserts a row; where the key exists, `column` grows by the new value."""
    statement = _insert(session, kind).values(**values)
    grown = kind.__table__.columns[column] + statement.excluded[column]
    session.execute(statement.on_conflict_do_update(index_elements=key, set_={column: grown}))


_PLAIN = {"synchronize_session": False}


def _insert(session: Session, kind: type[Base]) -> postgresql.Insert | sqlite.Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(kind)
    return sqlite.insert(kind)
