"""Tables of many jobs: a hundred that went the way of real ones, and copies of their rows.

The hundred are asked for over HTTP, by three projects, and moved on by what workers call, so their
rows, metadata, events and result files are what the service writes. A copy is the same a while
earlier under another id. Of a hundred jobs two wait for a worker, whatever the table's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    String,
    cast,
    create_engine,
    insert,
    literal,
    select,
    update,
)

from benchmarks.client import connect
from benchmarks.service import JOBS, Service, job_request
from core.records import datasets, jobs, leases, publishing
from core.records.engine import Database
from core.records.leases import Claim
from core.records.tables import DatasetVersion, File, Job, JobEvent, JobMetadata
from tests.api_service import add_key
from tests.service_builders import LEASE, results

ORIGINALS = 100
_PROJECTS = ("theirs", "others", "ours", "ours", "ours")  # whose turn it is to ask for a job
_WAITING = 2  # the newest; the one before them runs
_OUTCOMES = ("succeed",) * 7 + ("fail", "cancel", "succeed")
_SECONDS_APART = 60.0
_COPIES_AT_ONCE = 500


def fill(running: Service, size: int) -> None:
    """So many jobs, a multiple of ORIGINALS, in the service's empty database; three in five are
    its own project's."""
    database = running.api.database
    copy_rows(database.engine, _rows_of(database, _originals(running)), size // ORIGINALS - 1)


def copy_rows(engine: Engine, rows: Mapping[Column[str], Sequence[str]], copies: int) -> None:
    """So many copies of the rows whose columns, which their primary keys begin with, have one of
    these values: each a hundred minutes earlier than the one before, under other ids."""
    indexes = [index for column in rows for index in column.table.indexes]
    with _bulk_connection(engine) as connection:
        with connection.begin():
            for index in indexes:  # made anew afterwards, which is several times faster
                index.drop(connection)
        for last in range(copies, 0, -_COPIES_AT_ONCE):  # the oldest first, as they would have come
            first = max(1, last - _COPIES_AT_ONCE + 1)
            with connection.begin():
                for column, values in rows.items():
                    _copy(connection, column, values, first, last)
        with connection.begin():
            for index in indexes:
                index.create(connection)
    tidy(engine)


def _originals(running: Service) -> list[str]:
    """The hundred jobs, oldest first."""
    api = running.api
    asking = {"ours": (api.key, running.body)}
    for name in ("theirs", "others"):
        _, key = add_key(api.database, name)
        client = api.openai().with_options(api_key=key)
        asking[name] = (key, job_request(client))
    _check_datasets(api.database)
    for number in range(ORIGINALS):
        key, body = asking[_PROJECTS[number % len(_PROJECTS)]]
        with connect(api.settings.port, key) as connection:
            connection.post(JOBS, body)
    for number in range(ORIGINALS - _WAITING):
        with api.database.write() as session:
            claim = leases.claim(session, "worker", "boot", LEASE)
        assert claim is not None
        if number < ORIGINALS - _WAITING - 1:
            _END[_OUTCOMES[number % len(_OUTCOMES)]](api.database, claim)
    return _spread(api.database)


def _check_datasets(database: Database) -> None:
    with database.write() as session:
        for project_id, version in session.execute(
            select(DatasetVersion.project_id, DatasetVersion.id)
        ).all():
            datasets.mark_checked(session, project_id, version, "index", {})


def _succeed(database: Database, claim: Claim) -> None:
    with database.write() as session:
        publishing.publish(session, claim, results(claim), max_attempts=1)


def _fail(database: Database, claim: Claim) -> None:
    with database.write() as session:
        leases.fail(session, claim, "loss_not_finite", "The loss is nan.", max_attempts=1)


def _cancel(database: Database, claim: Claim) -> None:
    with database.write() as session:
        jobs.request_cancel(session, claim.project_id, claim.job_id)
        leases.stop_cancelled(session, claim)


_END: dict[str, Callable[[Database, Claim], None]] = {
    "succeed": _succeed,
    "fail": _fail,
    "cancel": _cancel,
}


def _spread(database: Database) -> list[str]:
    """Lets a minute pass between the jobs, which were asked for all at once."""
    with database.write() as session:
        found = session.execute(select(Job.id, Job.created_at).order_by(Job.created_at, Job.id))
        order = found.all()
        newest = order[-1].created_at
        for age, row in enumerate(reversed(order)):
            at = newest - age * _SECONDS_APART
            for table, key in ((Job, Job.id), (JobMetadata, JobMetadata.job_id)):
                statement = update(table).where(key == row.id).values(created_at=at)
                session.execute(statement, execution_options={"synchronize_session": False})
    return [row.id for row in order]


def _rows_of(database: Database, job_ids: Sequence[str]) -> dict[Column[str], Sequence[str]]:
    """The jobs' rows in each table that is copied: those with one of these values in the column,
    which their primary key begins with."""
    with database.read() as session:
        made = session.execute(select(File.id).where(File.job_id.in_(job_ids))).scalars().all()
    return {
        Job.__table__.c.id: job_ids,
        JobMetadata.__table__.c.job_id: job_ids,
        JobEvent.__table__.c.job_id: job_ids,
        File.__table__.c.id: made,
    }


@contextmanager
def _bulk_connection(engine: Engine) -> Iterator[Connection]:
    """One that does not look up foreign keys, since copies name what their originals do, and has
    memory for the indexes."""
    apart = create_engine(engine.url)
    with apart.connect() as connection:
        connection.exec_driver_sql(_PREPARE[engine.dialect.name])
        connection.commit()
        yield connection
    apart.dispose()


_PREPARE = {
    "sqlite": "PRAGMA cache_size = -2000000",  # KiB; foreign keys are not looked up by default
    "postgresql": "SET session_replication_role = replica",
}


def _copy(
    connection: Connection, column: Column[str], values: Sequence[str], first: int, last: int
) -> None:
    """Copies number `first` to `last` of the rows whose column has one of these values."""
    numbers = select(literal(first).label("number")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < last))
    table = column.table
    copied = (
        select(*(_copied(each, numbers.c.number) for each in table.c))
        .select_from(table.join(numbers, literal(True)))
        .where(column.in_(values))
        .order_by(numbers.c.number.desc())
    )
    connection.execute(insert(table).from_select(list(table.c), copied))


def _copied(column: Column[Any], number: Column[int]) -> ColumnElement[Any]:
    if column.name in ("id", "job_id"):
        return column + literal("-") + cast(number, String)
    if column.name.endswith("_at"):
        return column - number * (_SECONDS_APART * ORIGINALS)
    return column


def tidy(engine: Engine) -> None:
    """What PostgreSQL does by itself a while after so many rows came."""
    if engine.dialect.name != "postgresql":
        return
    apart = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with apart.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    apart.dispose()
