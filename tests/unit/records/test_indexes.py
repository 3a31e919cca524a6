"""What is asked often is found by an index whose size is that of the answer, not of the table.

SQLite has no statistics of our tables, so its plan is the same for ten rows and for a million.
PostgreSQL has, and is asked about a table like a large one: nearly all has ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from core.records import datasets, files, garbage, jobs, leases, scheduling, usage
from core.records.engine import Database, Session
from core.records.tables import Base
from tests import service_builders as build
from tests.services import copied_postgresql

Asked = Callable[[Session, str, str], object]

ASKED: dict[str, tuple[Asked, str]] = {
    "a page": (
        lambda session, project, job: jobs.list_jobs(session, project),
        "SEARCH jobs USING INDEX ix_jobs_project_id_created_at_id (project_id=?)",
    ),
    "a page after another": (
        lambda session, project, job: jobs.list_jobs(session, project, after=job),
        "SEARCH jobs USING INDEX ix_jobs_project_id_created_at_id "
        "(project_id=? AND (created_at,id)<(?,?))",
    ),
    "jobs of a pair": (
        lambda session, project, job: jobs.list_jobs(session, project, metadata={"a": "b"}),
        "SEARCH job_metadata USING COVERING INDEX "
        "ix_job_metadata_project_id_key_value_created_at_job_id "
        "(project_id=? AND key=? AND value=?)",
    ),
    "result files": (
        lambda session, project, job: files.result_files(session, project, [job, "other"]),
        "SEARCH files USING INDEX ix_files_job_id_project_id (job_id=? AND project_id=?)",
    ),
    "the queue": (
        lambda session, project, job: scheduling.queue_positions(
            session, [jobs.get(session, project, job)]
        ),
        "SEARCH jobs USING INDEX ix_jobs_queued (project_id=?)",
    ),
    "what jobs ask of workers": (
        lambda session, project, job: leases.claim(session, "worker", "boot", build.LEASE),
        "SEARCH jobs USING INDEX ix_jobs_asking (requires>?)",
    ),
    "projects that wait": (
        lambda session, project, job: leases.claim(session, "worker", "boot", build.LEASE),
        "SEARCH jobs USING INDEX ix_jobs_open (project_id>?)",
    ),
    "a claim": (
        lambda session, project, job: leases.claim(session, "worker", "boot", build.LEASE),
        "SEARCH jobs USING INDEX ix_jobs_waiting (project_id=?)",
    ),
    "jobs that have not ended": (
        lambda session, project, job: usage.open_jobs(session, project),
        "SEARCH jobs USING INDEX ix_jobs_open (project_id=?)",
    ),
    "jobs to purge": (
        lambda session, project, job: garbage.jobs_to_purge(session, 60.0),
        "SEARCH jobs USING INDEX ix_jobs_unpurged (finished_at<?)",
    ),
    "files of a data set": (
        lambda session, project, job: datasets.files_of(session, project, ["v1"]),
        "SEARCH files USING INDEX ix_files_of_datasets (project_id=? AND dataset_version=?)",
    ),
}


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "lipsum.db")
    found = Database(f"sqlite:///{tmp_path / 'lipsum.db'}")
    yield found
    found.close()


@pytest.mark.parametrize("what", ASKED)
def test_the_index_is_used(database: Database, what: str) -> None:
    ask, step = ASKED[what]
    project = build.project(database)
    job = build.job(database, project)
    with database.write() as session:
        plans = _plans(session, lambda: ask(session, project, job.id))
    assert any(step in plan for plan in plans), plans
    walked = [f"SCAN {table}" for table in Base.metadata.tables]
    assert not [line for plan in plans for line in plan if line in walked], plans


@pytest.mark.servers
def test_postgresql_walks_along_the_queue_of_a_large_table(postgresql_template: str) -> None:
    database = Database(copied_postgresql(postgresql_template))
    try:
        project = build.project(database)
        job = build.job(database, project)
        with database.write() as session:
            _enlarge(session)
            plans = _plans(session, lambda: scheduling.queue_positions(session, [job]))
        assert any("using ix_jobs_queued" in line for line in plans[-1]), plans[-1]
        assert not [line for plan in plans for line in plan if "Seq Scan on jobs" in line], plans
    finally:
        database.close()


def _enlarge(session: Session) -> None:
    """Sixty thousand jobs like the one that is there, of which 2 % wait and 1 % are held."""
    columns = [column.name for column in Base.metadata.tables["jobs"].columns]
    changed = {
        "id": "jobs.id || '-' || n",
        "created_at": "jobs.created_at + n",
        "status": "CASE WHEN n % 100 < 2 THEN 'queued' WHEN n % 100 = 2 THEN 'running' "
        "ELSE 'succeeded' END",
        "lease_token": "CASE WHEN n % 100 = 2 THEN 'token' END",
        "lease_expires_at": "CASE WHEN n % 100 = 2 THEN jobs.created_at END",
        "finished_at": "CASE WHEN n % 100 > 2 THEN jobs.created_at + n END",
    }
    values = ", ".join(changed.get(name, f"jobs.{name}") for name in columns)
    session.execute(
        text(
            f"INSERT INTO jobs ({', '.join(columns)}) "
            f"SELECT {values} FROM jobs, generate_series(1, 60000) AS n"
        )
    )
    session.execute(text("ANALYZE jobs"))


def _plans(session: Session, ask: Callable[[], object]) -> list[list[str]]:
    """Of each statement that is executed meanwhile: how the database goes about it."""
    asked: list[tuple[str, Any]] = []
    engine = session.connection().engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    ask()
    event.remove(engine, "before_cursor_execute", note)
    connection = session.connection()
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    return [
        [row[-1] for row in connection.exec_driver_sql(f"{explain} {statement}", values)]
        for statement, values in asked
        if not statement.startswith("INSERT")
    ]
