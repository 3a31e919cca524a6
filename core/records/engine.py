"""The database and its units of work.

`read()` is one consistent snapshot that cannot write. `write()` is one transaction that commits
when its block ends without an exception. SQLite takes its write lock at the start (BEGIN
IMMEDIATE), so that a transaction which reads and then writes never fails for having been
overtaken in between; on PostgreSQL the functions lock the rows they decide about.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError
from sqlalchemy.orm import Session as Session  # for those who only pass it on

from core.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_TIMEOUT = 30_000  # milliseconds a SQLite writer waits for another
CONNECT_TIMEOUT = 5  # seconds for a connection to PostgreSQL
SILENCE_TIMEOUT = 15_000  # milliseconds without an acknowledgement before a connection is dead
LOCK_TIMEOUT = 15_000  # milliseconds PostgreSQL waits for a row: a worker's lease is longer
_MIGRATION_LOCK = 5_170_462_001  # any number that is ours: PostgreSQL's advisory lock
_BEGIN = "lipsum_begin"


class Database:
    """One pool of connections. Share one per process; sessions are per unit of work."""

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(url)
        self.commits = 0  # of this object, more or less: it changes with each of them
        self._writing = self.engine.execution_options(**{_BEGIN: "IMMEDIATE"})
        self._reading = self.engine.execution_options(
            **{_BEGIN: "DEFERRED"},
            **({"postgresql_readonly": True} if self._is_postgresql else {}),
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot. Writing in it is an error. Raises Unavailable without a database."""
        with _faults(), Session(self._reading, autoflush=False, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction, committed at the end. Raises Unavailable without a database."""
        with (
            _faults(),
            Session(self._writing, autoflush=False, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session
        self.commits += 1

    def close(self) -> None:
        """Closes every connection of the pool."""
        self.engine.dispose()

    @property
    def _is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"


def migrate(url: str, revision: str = "head") -> None:
    """Brings the database to `revision`. Safe to run from several processes at once."""
    from alembic import command  # only who migrates pays for it at start

    with _faults(), _migration_connection(url) as (configuration, connection):
        if revision == "base":
            command.downgrade(configuration, revision)
        else:
            command.upgrade(configuration, revision)
        connection.commit()


@contextmanager
def _migration_connection(url: str) -> Iterator[tuple[Config, Connection]]:
    from alembic.config import Config

    engine = _make_engine(url)
    try:
        with engine.execution_options(**{_BEGIN: "IMMEDIATE"}).connect() as connection:
            connection.begin()
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
                )
            configuration = Config()
            configuration.set_main_option("script_location", str(_migrations_folder()))
            configuration.attributes["connection"] = connection
            yield configuration, connection
    finally:
        engine.dispose()


def _migrations_folder() -> Path:
    import migrations

    return Path(migrations.__file__).parent


def _make_engine(url: str) -> Engine:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _make_sqlite_engine(url)
    if backend == "postgresql":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                "tcp_user_timeout": SILENCE_TIMEOUT,
                # Compiling a query takes a quarter of a second here, and none runs for so long:
                # PostgreSQL would do so where its statistics make it expect many rows.
                "options": f"-c lock_timeout={LOCK_TIMEOUT} -c jit=off",
            },
        )
    raise ValueError(
        f"database_url is of type {backend!r}; use sqlite:///PATH or postgresql+psycopg://..."
    )


def _make_sqlite_engine(url: str) -> Engine:
    database = make_url(url).database
    if not database or database == ":memory:":
        raise ValueError("database_url names no file; use sqlite:///PATH, for example of data_dir")
    Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would be deferred: we send ours
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Several connections that open a new file together would wait for one another here; SQLite
    answers all but one with "locked" at once, whatever the busy timeout, so the waiting is ours."""
    deadline = time.monotonic() + BUSY_TIMEOUT / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN, "IMMEDIATE")
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if mode == 'DEFERRED' else 'OFF'}")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        driver_error = getattr(error, "orig", None)
        if _is_our_fault(driver_error):
            raise
        cause = str(driver_error or error).strip()
        raise Unavailable(
            f"The database did not answer ({cause}); try again later.", code="database_unavailable"
        ) from error


def _is_our_fault(driver_error: BaseException | None) -> bool:
    """SQLite's driver calls a missing column and a write within read() operational too."""
    code = getattr(driver_error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY)
