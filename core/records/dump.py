"""Every row of the database as plain values, out of one moment and into an empty database.

Tables are read as the database has them, not as this version declares them: a dump goes back into
tables of its own revision, on either database, and is migrated from there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, select, text

from core.errors import Conflict
from core.records.engine import Database, migrate

Row = dict[str, Any]
_VERSION = "alembic_version"
_AT_ONCE = 1000
_BYTES = "base64:"  # how a value begins that was bytes


class Dump:
    """The rows as they all were at one moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        tables = _tables(connection)
        self.revision: str = connection.execute(
            select(tables.tables[_VERSION].c.version_num)
        ).scalar_one()
        self.tables = [table for table in tables.sorted_tables if table.name != _VERSION]

    def rows(self, table: Table) -> Iterator[Row]:
        """What JSON can say."""
        statement = select(table).order_by(*table.primary_key.columns)
        result = self._connection.execution_options(yield_per=_AT_ONCE).execute(statement)
        for row in result.mappings():
            yield {name: _plain(value) for name, value in row.items()}


@contextmanager
def dump(database: Database) -> Iterator[Dump]:
    """Reads while others write. Raises Unavailable without a database."""
    with database.read() as session:
        options = (
            {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            if session.get_bind().dialect.name == "postgresql"
            else {}
        )
        yield Dump(session.connection(execution_options=options))


def load(url: str, revision: str, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
    """Fills an empty database with the tables of that revision, all or nothing, and brings it up to
    date. `tables` come in an order in which each row finds those it refers to.

    Raises Conflict when the database has a project already.
    """
    migrate(url, revision)
    database = Database(url)
    try:
        with database.write() as session:
            connection = session.connection()
            known = _tables(connection)
            if connection.execute(
                select(func.count()).select_from(known.tables["projects"])
            ).scalar():
                raise Conflict(
                    "The database is not empty: it has projects. Restore into a new one.",
                    code="not_empty",
                )
            for name, rows in tables:
                _insert(connection, known.tables[name], rows)
    finally:
        database.close()
    migrate(url)


def _tables(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


def _insert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append({name: _stored(value) for name, value in row.items()})
        if len(batch) == _AT_ONCE:
            connection.execute(table.insert(), batch)
            batch = []
    if batch:
        connection.execute(table.insert(), batch)
    if connection.dialect.name == "postgresql":
        _continue_numbering(connection, table)


def _continue_numbering(connection: Connection, table: Table) -> None:
    """Rows that number themselves go on after those that were put in."""
    for column in table.primary_key.columns:
        named = {"table": table.name, "column": column.name}
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), named
        ).scalar()
        if sequence is not None:
            last = connection.execute(select(func.max(column))).scalar()
            if last is not None:
                connection.execute(
                    text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last}
                )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return _BYTES + base64.b64encode(bytes(value)).decode()
    return value


def _stored(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_BYTES):
        return base64.b64decode(value.removeprefix(_BYTES))
    return value
