"""The database's clock as epoch seconds, on both databases.

Leases are compared on this clock only: workers on machines whose clocks differ still agree on
who holds a job. It is the time of the statement, not of its transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):
    """`select(now())`, or a value in an insert or update."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: SQLCompiler, **options: Any) -> str:
    # Julian days since 1970, in seconds. SQLite keeps milliseconds; unixepoch('subsec') needs 3.42.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: SQLCompiler, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def read_clock(session: Session) -> float:
    """The time on the database's clock, epoch seconds."""
    return session.execute(select(now())).scalar_one()
