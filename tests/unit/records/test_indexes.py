"""What is asked often is found by an index whose size is that of the answer, not of the table.

SQLite has no statistics of our tables, so its plan is the same for ten rows and for a million.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from core.records import datasets, files, garbage, jobs, leases, scheduling, usage
from core.records.engine import Database, Session
from core.records.tables import Base
from tests import service_builders as build

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
        "SEARCH jobs USING INDEX ix_jobs_waiting (project_id=?)",
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


def _plans(session: Session, ask: Callable[[], object]) -> list[list[str]]:
    """Of each statement that is executed meanwhile: how SQLite goes about it."""
    asked: list[tuple[str, Any]] = []
    engine = session.connection().engine

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    ask()
    event.remove(engine, "before_cursor_execute", note)
    connection = session.connection()
    return [
        [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        for statement, values in asked
        if not statement.startswith("INSERT")
    ]
