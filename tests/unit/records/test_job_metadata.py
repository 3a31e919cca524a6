"""Jobs by metadata on both databases: pages, rarest pair first, and old jobs after a migration."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import create_engine, insert, text

from core.records import jobs
from core.records.engine import Database, migrate
from core.records.tables import JobMetadata
from tests import service_builders as build
from tests.unit.records.test_migrations import empty_url

__all__ = ["empty_url"]


def create(database: Database, project: str, **metadata: str) -> str:
    spec = build.specification(build.dataset(database, project))
    request = {"model": "base:tiny", "training_file": "file-1", "metadata": metadata or None}
    with database.write() as session:
        return jobs.create(session, project, spec, request).id


def found(database: Database, project: str, **how: Any) -> list[str]:
    with database.read() as session:
        return [job.id for job in jobs.list_jobs(session, project, **how).items]


def test_pages_neither_skip_nor_repeat(database: Database) -> None:
    project = build.project(database)
    made = [create(database, project, team="birds", n=str(n)) for n in range(7)]
    create(database, project, team="cats")
    seen: list[str] = []
    after = None
    while True:
        with database.read() as session:
            page = jobs.list_jobs(
                session, project, metadata={"team": "birds"}, after=after, order="asc", limit=3
            )
        seen += [job.id for job in page.items]
        after = seen[-1]
        create(database, build.project(database, "theirs"), team="birds")
        if not page.has_more:
            break
    assert seen == made


def test_every_pair_must_be_there(database: Database) -> None:
    project = build.project(database)
    wanted = create(database, project, team="birds", run="2")
    for n in range(3):
        create(database, project, team="birds", run=str(10 + n))
    create(database, project, run="2")
    none = create(database, project)
    for pairs in ({"team": "birds", "run": "2"}, {"run": "2", "team": "birds"}):
        assert found(database, project, metadata=pairs) == [wanted]
    assert found(database, project, metadata={"team": "birds", "run": "3"}) == []
    assert found(database, project, without_metadata=True) == [none]


def test_other_filters_hold_too(database: Database) -> None:
    project = build.project(database)
    job = create(database, project, team="birds")
    assert found(database, project, metadata={"team": "birds"}, status="queued") == [job]
    assert found(database, project, metadata={"team": "birds"}, status="failed") == []


def test_the_index_gives_the_order(database: Database) -> None:
    """The plan of a page holds no sort and no scan of all jobs, whatever their number."""
    project = build.project(database)
    job = create(database, project, team="birds")
    with database.write() as session:
        row = session.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job}).mappings()
        values = dict(row.one())
        copies = [{**values, "id": f"ftjob-{n}", "created_at": float(n)} for n in range(3000)]
        columns = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        for copy in copies:
            for name, value in copy.items():
                copy[name] = json.dumps(value) if isinstance(value, dict) else value
        session.execute(text(f"INSERT INTO jobs ({columns}) VALUES ({marks})"), copies)
        pairs = [
            {
                "job_id": copy["id"],
                "key": "team",
                "value": "birds",
                "project_id": project,
                "created_at": copy["created_at"],
            }
            for copy in copies
        ]
        session.execute(insert(JobMetadata), pairs)
    query = (
        "SELECT jobs.id FROM jobs JOIN job_metadata ON job_metadata.job_id = jobs.id "
        "WHERE job_metadata.project_id = :project AND job_metadata.key = 'team' "
        "AND job_metadata.value = 'birds' "
        "ORDER BY job_metadata.created_at DESC, job_metadata.job_id DESC LIMIT 21"
    )
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.write() as session:
        session.execute(text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        plan = str(session.execute(text(explain + query), {"project": project}).all())
    assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
    assert "SCAN jobs" not in plan and "Seq Scan" not in plan, plan
    assert len(found(database, project, metadata={"team": "birds"}, limit=20)) == 20


def test_jobs_from_before_are_found(empty_url: str) -> None:
    migrate(empty_url, "0002")
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO projects (id, name, created_at) VALUES ('proj-1', 'p', 1.0)")
        )
        for number, metadata in enumerate(('{"team": "birds", "run": "1"}', None, "{}")):
            connection.execute(
                text(
                    "INSERT INTO jobs (id, project_id, request, spec, spec_digest, "
                    "requested_model, method, training_file, metadata, status, step, total_steps, "
                    "progress, created_at, attempt, failures, next_event_sequence) VALUES "
                    "(:id, 'proj-1', '{}', '{}', '', 'base:tiny', 'ft', 'f', :metadata, "
                    "'succeeded', 0, 0, 1.0, 5.0, 1, 0, 1)"
                ),
                {"id": f"ftjob-{number}", "metadata": metadata},
            )
    engine.dispose()
    migrate(empty_url)
    database = Database(empty_url)
    assert found(database, "proj-1", metadata={"team": "birds", "run": "1"}) == ["ftjob-0"]
    assert found(database, "proj-1", without_metadata=True) == ["ftjob-1"]
    database.close()
