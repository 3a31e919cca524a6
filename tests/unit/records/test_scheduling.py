"""Claims in the order of `core.jobs.turns`, on both databases, and what is said of the queue."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from core.access.limits import ProjectLimits
from core.jobs.labels import parse_labels
from core.records import jobs, leases, limits, publishing, scheduling, workers
from core.records.clock import now
from core.records.engine import Database
from core.records.leases import Claim
from core.records.tables import Job, JobTransition, Project
from tests import service_builders as build


def job(database: Database, project: str, **asked: Any) -> Job:
    """A queued job whose request says so."""
    return build.job(database, project, asked=asked)


def claimed(database: Database, labels: str = "") -> Claim | None:
    with database.write() as session:
        return leases.claim(session, "worker", "boot", 60.0, parse_labels(labels))


def order(database: Database, labels: str = "") -> list[str]:
    """Ids of jobs as they are claimed until there is none."""
    found = []
    while (claim := claimed(database, labels)) is not None:
        found.append(claim.job_id)
    return found


def limit(database: Database, project: str, running_jobs: int) -> None:
    with database.write() as session:
        limits.put(session, project, project, ProjectLimits(running_jobs=running_jobs))


@pytest.fixture
def ours(database: Database) -> str:
    build.dataset(database, build.project(database))
    return build.project(database)


@pytest.fixture
def theirs(database: Database) -> str:
    build.dataset(database, build.project(database, "theirs"))
    return build.project(database, "theirs")


def test_within_a_project_priority_goes_before_age(database: Database, ours: str) -> None:
    low, first, second, high = (job(database, ours, priority=p) for p in (-1, 0, 0, 5))
    assert order(database) == [high.id, first.id, second.id, low.id]


def test_nobody_gains_a_slot_by_asking_for_many_or_highly(
    database: Database, ours: str, theirs: str
) -> None:
    mine = [job(database, ours, priority=100) for _ in range(4)]
    other = [job(database, theirs) for _ in range(2)]
    assert order(database) == [
        mine[0].id,
        other[0].id,
        mine[1].id,
        other[1].id,
        mine[2].id,
        mine[3].id,
    ]


def test_who_had_less_of_the_slots_goes_first(database: Database, ours: str, theirs: str) -> None:
    """One slot, so nobody holds any when it is given: what was had decides."""
    first = job(database, ours)
    claim = claimed(database)
    assert claim is not None and claim.job_id == first.id
    with database.write() as session:  # it ran for an hour
        session.execute(
            update(JobTransition)
            .where(JobTransition.job_id == first.id)
            .values(at=JobTransition.at - 3600)
        )
    with database.write() as session:
        leases.fail(session, claim, "invalid_spec", "no", max_attempts=1)
    again, other = job(database, ours), job(database, theirs)
    with database.read() as session:
        served = session.get_one(Project, ours).served_seconds
    assert served == pytest.approx(3600, abs=60)
    assert order(database) == [other.id, again.id]


def test_a_project_runs_no_more_than_it_may(database: Database, ours: str, theirs: str) -> None:
    limit(database, ours, 1)
    mine = [job(database, ours) for _ in range(2)]
    other = [job(database, theirs) for _ in range(2)]
    held = claimed(database)
    assert held is not None and held.job_id == mine[0].id
    assert order(database) == [other[0].id, other[1].id]
    with database.write() as session:
        leases.give_back(session, held)
    assert order(database) == [mine[0].id]


def test_workers_at_once_keep_to_a_limit(database: Database, ours: str) -> None:
    limit(database, ours, 3)
    for _ in range(12):
        job(database, ours)
    found: list[Claim | None] = []
    threads = [threading.Thread(target=lambda: found.append(claimed(database))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({claim.job_id for claim in found if claim is not None}) == 3


def test_a_worker_takes_only_what_it_is_fit_for(database: Database, ours: str) -> None:
    large = job(database, ours, requires=["gpu-mem>=40g", "region=eu"], priority=9)
    plain = job(database, ours)
    assert order(database, "gpu-mem=24g region=eu") == [plain.id]
    assert order(database, "gpu-mem=80g region=us") == []
    assert order(database, "gpu-mem=80g region=eu") == [large.id]


_JOBS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-1, 1), st.booleans()), min_size=1, max_size=8
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=_JOBS)
def test_positions_say_in_which_order_jobs_are_claimed(
    database: Database, drawn: list[tuple[int, int, bool]]
) -> None:
    projects = [build.project(database, f"p{n}") for n in range(3)]
    with database.write() as session:
        for n, project in enumerate(projects):
            served = {"served_seconds": 1e3 * n, "served_at": now()}
            session.execute(update(Project).where(Project.id == project).values(**served))
    for project in projects:
        build.dataset(database, project)
    made = [job(database, projects[n], priority=priority) for n, priority, _ in drawn]
    for _ in range(sum(begins for _, _, begins in drawn) // 2):
        claimed(database)
    with database.read() as session:
        told = scheduling.queue_positions(
            session, [jobs.get(session, row.project_id, row.id) for row in made]
        )
    taken = order(database)
    assert told == {job_id: place for place, job_id in enumerate(taken)}
    with database.write() as session:  # the next example starts anew
        for row in made:
            session.execute(
                update(Job)
                .where(Job.id == row.id)
                .values(status="failed", finished_at=1.0, lease_token=None, lease_expires_at=None)
            )


class TestStarts:
    def test_are_told_from_what_finished_jobs_took(self, database: Database, ours: str) -> None:
        done = job(database, ours)
        claim = build.claim(database)
        with database.write() as session:
            session.execute(
                update(Job).where(Job.id == done.id).values(started_at=Job.started_at - 200.0)
            )
        with database.write() as session:
            publishing.publish(session, claim, build.results(claim), max_attempts=3)
        waiting = [job(database, ours) for _ in range(3)]
        with database.write() as session:
            workers.say(session, "one", "boot", 1, "")
            row = session.get_one(Job, waiting[0].id)
            begun = row.created_at
            live = workers.live(session, 60.0)
            found = scheduling.estimated_starts(session, waiting, live)
        assert [round(found[row.id] - begun, -1) for row in waiting] == [0, 200, 400]

    def test_are_not_told_where_nothing_is_known(self, database: Database, ours: str) -> None:
        waiting = [job(database, ours), job(database, ours, requires=["gpu"])]
        with database.write() as session:
            assert scheduling.estimated_starts(session, waiting, []) == {}
            workers.say(session, "one", "boot", 1, "")
            live = workers.live(session, 60.0)
            found = scheduling.estimated_starts(session, waiting, live)
        assert list(found) == [waiting[0].id]  # now; but nobody knows how long it takes


def test_workers_are_seen_while_they_say_so(database: Database, ours: str) -> None:
    with database.write() as session:
        workers.say(session, "one", "boot", 2, "a=1")
        workers.say(session, "one", "boot", 3, "a=2")
        workers.say(session, "two", "boot", 1, "")
    claim = job(database, ours)
    held = claimed(database)
    assert held is not None
    with database.write() as session:
        assert [(row.owner, row.slots, row.labels) for row in workers.live(session, 60.0)] == [
            ("one", 3, "a=2"),
            ("two", 1, ""),
        ]
        assert workers.live(session, -60.0) == []
        assert workers.held_jobs(session) == {"worker": [claim.id]}
        workers.leave(session, "two", "another boot")
        workers.leave(session, "one", "boot")
        assert [row.owner for row in workers.live(session, 60.0)] == ["two"]
