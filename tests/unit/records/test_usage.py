"""What was used, by whom, in which month; what may be used; and the log of who changed what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from core.access.limits import Limits
from core.errors import InvalidRequest, QuotaExceeded
from core.records import (
    audit,
    files,
    jobs,
    leases,
    limits,
    models,
    publishing,
    quotas,
    rates,
    usage,
)
from core.records.audit import Actor
from core.records.clock import read_clock
from core.records.engine import Database, Session
from core.records.tables import Job, JobTransition, RateBucket
from core.records.usage import Month
from tests import service_builders as build

DAY = 86400.0


def test_a_month_begins_and_ends_at_midnight_utc() -> None:
    for name, days in (("2026-02", 28), ("2028-02", 29), ("2026-12", 31)):
        month = Month.named(name)
        assert month.end - month.start == days * DAY
        assert datetime.fromtimestamp(month.start, UTC).isoformat() == f"{name}-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "name", ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "2026-01-01"]
)
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="YYYY-MM"):
        Month.named(name)


def test_requests_add_up_by_key(database: Database) -> None:
    ours, theirs = build.project(database), build.project(database, "theirs")
    with database.write() as session:
        mine, _ = build.key(session, ours)
        other, _ = build.key(session, theirs)
        for count in (3, 4):
            usage.count_requests(session, ours, mine.id, count)
        usage.count_requests(session, theirs, other.id, 9)
        month = Month.present(session)
        assert usage.requests(session, ours, month) == {mine.id: 7}
        assert usage.requests(session, ours, Month.named("2020-01")) == {}


def test_jobs_and_their_seconds_belong_to_the_key_that_asked(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
    job = build.job(database, project)
    _belongs_to(database, job, key.id)
    build.claim(database)
    _ran(database, job.id, 100.0)
    with database.write() as session:
        month = Month.present(session)
        report = usage.report(session, project, month)
        so_far = read_clock(session) - month.start
    assert list(report.by_key) == [key.id]
    assert (report.together.jobs, report.by_key[key.id].jobs) == (1, 1)
    assert report.together.device_seconds == pytest.approx(min(100, so_far), abs=20)


def test_seconds_count_in_the_month_they_were_spent_in(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    with database.write() as session:
        leases.give_back(session, claim)  # one span of running, to be put where we like
    january, february, march = (Month.named(f"2026-0{n}") for n in (1, 2, 3))
    _span(database, job.id, january.end - 300, february.start + 100)
    with database.read() as session:
        spent = [usage.device_seconds(session, project, m) for m in (january, february, march)]
    assert [sum(each.values()) for each in spent] == [300.0, 100.0, 0.0]


def test_attempts_add_up_and_waiting_costs_nothing(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    for _ in range(2):
        claim = build.claim(database)
        with database.write() as session:
            leases.give_back(session, claim)
    start = Month.named("2026-05").start
    _place(database, job.id, [start, start + 10, start + 40, start + 1000, start + 1005])
    with database.read() as session:
        # queued at 0, running 10 to 40, queued to 1000, running to 1005
        spent = usage.device_seconds(session, project, Month.named("2026-05"))
    assert spent == {None: 35.0}


def test_equal_content_is_stored_once(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        first, _ = build.key(session, project)
        second, _ = build.key(session, project)
        kept = [
            _file(session, project, "a", 100, first.id),
            _file(session, project, "a", 100, first.id),
            _file(session, project, "a", 100, second.id),
            _file(session, project, "b", 7, second.id),
        ]
        assert usage.stored_bytes(session, project) == {first.id: 100, second.id: 107}
        assert usage.stored_bytes_of_project(session, project) == 107
        files.delete(session, project, kept[0])
        assert usage.stored_bytes(session, project)[first.id] == 100
        files.delete(session, project, kept[1])
        assert usage.stored_bytes(session, project) == {second.id: 107}


def test_what_a_job_made_is_stored_by_the_key_that_asked(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
    job = build.job(database, project)
    _belongs_to(database, job, key.id)
    claim = build.claim(database)
    with database.write() as session:
        publishing.publish(session, claim, build.results(claim), max_attempts=1)
        stored = usage.stored_bytes(session, project)
        assert stored[key.id] >= 3 * 200  # three models and a report
        for model in models.of_job(session, project, job.id):
            models.delete(session, project, model.id)
        assert usage.stored_bytes(session, project)[key.id] == stored[key.id] - 600


class TestQuotas:
    def test_nothing_is_limited_until_somebody_says_so(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            key, _ = build.key(session, project)
            quotas.check_jobs(session, project, key.id, more=10**6)
            quotas.check_bytes(session, project, key.id, 2**50)

    @pytest.mark.parametrize("whose", ["key", "project"])
    def test_jobs_that_have_not_ended(self, database: Database, whose: str) -> None:
        project = build.project(database)
        with database.write() as session:
            key, _ = build.key(session, project)
            owner = key.id if whose == "key" else project
            limits.put(session, project, owner, Limits(concurrent_jobs=2))
            quotas.check_jobs(session, project, key.id, more=2)
            with pytest.raises(QuotaExceeded) as fault:
                quotas.check_jobs(session, project, key.id, more=3)
        assert (fault.value.code, fault.value.param) == ("insufficient_quota", "concurrent_jobs")
        made = [build.job(database, project) for _ in range(2)]
        for job in made:
            _belongs_to(database, job, key.id)
        with database.write() as session:
            with pytest.raises(QuotaExceeded, match="has 2"):
                quotas.check_jobs(session, project, key.id)
            jobs.request_cancel(session, project, made[0].id)
            quotas.check_jobs(session, project, key.id)

    def test_a_keys_limit_is_not_its_neighbours(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            mine, _ = build.key(session, project)
            other, _ = build.key(session, project)
            limits.put(session, project, mine.id, Limits(concurrent_jobs=1))
        _belongs_to(database, build.job(database, project), mine.id)
        with database.write() as session:
            quotas.check_jobs(session, project, other.id, more=5)
            with pytest.raises(QuotaExceeded):
                quotas.check_jobs(session, project, mine.id)

    def test_bytes(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            key, _ = build.key(session, project)
            limits.put(session, project, project, Limits(stored_bytes=100))
            quotas.check_bytes(session, project, key.id, 100)
            _file(session, project, "a", 60, key.id)
            quotas.check_bytes(session, project, key.id, 40)
            quotas.check_bytes(session, project, key.id, 60, "a")  # it is stored already
            for lock in (True, False):
                with pytest.raises(QuotaExceeded) as fault:
                    quotas.check_bytes(session, project, key.id, 41, "b", lock=lock)
            assert fault.value.param == "stored_bytes"
            assert "101" in fault.value.message
            quotas.check_jobs(session, project, key.id)
            _file(session, project, "b", 40, key.id)
            with pytest.raises(QuotaExceeded):  # there is no room for results
                quotas.check_jobs(session, project, key.id)

    def test_device_seconds_of_the_month(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            key, _ = build.key(session, project)
            limits.put(session, project, project, Limits(device_seconds_per_month=1))
            quotas.check_jobs(session, project, key.id)
        job = build.job(database, project)
        build.claim(database)
        _ran(database, job.id, 100.0)
        with database.write() as session, pytest.raises(QuotaExceeded) as fault:
            quotas.check_jobs(session, project, key.id)
        assert fault.value.param == "device_seconds_per_month"

    def test_limits_are_replaced_whole(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            limits.put(session, project, project, Limits(concurrent_jobs=1, stored_bytes=5))
            limits.put(session, project, project, Limits(requests_per_minute=9))
            found = limits.of(session, [project, "key-none"])
        assert found == {project: Limits(requests_per_minute=9), "key-none": Limits()}


class TestRates:
    def test_a_bucket_gives_what_a_minute_may_have_and_no_more(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            given = [rates.take(session, project, "key-a", 60, 7).granted for _ in range(10)]
            assert sum(given) in (60, 61)  # a second may have passed
            assert given[:8] == [7] * 8
            assert rates.take(session, project, "key-b", 60, 7).granted == 7

    def test_it_fills_evenly(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            rates.take(session, project, "key-a", 60, 60)
            _age(session, 10.0)
            assert rates.take(session, project, "key-a", 60, 60).granted in (10, 11)
            _age(session, 3600.0)
            assert rates.take(session, project, "key-a", 60, 1000).granted == 60

    def test_a_lower_limit_counts_at_once(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            rates.take(session, project, "key-a", 1000, 1)
            assert rates.take(session, project, "key-a", 5, 1000).granted == 5


class TestAudit:
    def test_a_line_says_who_what_when_and_from_where(self, database: Database) -> None:
        project = build.project(database)
        with database.write() as session:
            actor = Actor(project, "key-1", "192.0.2.7", "req-1")
            audit.note(session, actor, "key.create", "key-2", scopes=["jobs:read"])
            audit.note(session, Actor(project, None), "project.limit", project)
        with database.read() as session:
            lines = audit.list_lines(session, project).items
        first, second = sorted(lines, key=lambda line: line.key_id is None)  # of one moment
        assert (first.key_id, first.action, first.object_id) == ("key-1", "key.create", "key-2")
        assert (first.address, first.request_id) == ("192.0.2.7", "req-1")
        assert first.details == {"scopes": ["jobs:read"]}
        assert first.created_at > 1.7e9
        assert (second.key_id, second.address, second.details) == (None, None, None)

    def test_a_change_that_fails_leaves_no_line(self, database: Database) -> None:
        project = build.project(database)

        def note_and_fail() -> None:
            with database.write() as session:
                audit.note(session, Actor(project, None), "file.delete", "file-1")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            note_and_fail()
        with database.read() as session:
            assert audit.list_lines(session, project).items == []


def _belongs_to(database: Database, job: Job, key_id: str) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(key_id=key_id))


def _ran(database: Database, job_id: str, seconds: float) -> None:
    """All that the job did was so long ago."""
    with database.write() as session:
        session.execute(
            update(JobTransition)
            .where(JobTransition.job_id == job_id)
            .values(at=JobTransition.at - seconds)
        )


def _span(database: Database, job_id: str, begun: float, ended: float) -> None:
    """The job ran from then until then."""
    _place(database, job_id, [begun - 1, begun, ended])


def _place(database: Database, job_id: str, times: list[float]) -> None:
    """The job's transitions happened at these times."""
    with database.write() as session:
        rows = jobs.list_transitions(session, _project_of(session, job_id), job_id)
        for row, at in zip(rows, times, strict=True):
            session.execute(update(JobTransition).where(JobTransition.id == row.id).values(at=at))


def _project_of(session: Session, job_id: str) -> str:
    job = session.get(Job, job_id)
    assert job is not None
    return job.project_id


def _file(session: Session, project: str, key: str, size: int, key_id: str) -> str:
    return files.create(
        session,
        project,
        filename=key,
        purpose="user_data",
        size=size,
        sha256=key,
        object_key=key,
        key_id=key_id,
    ).id


def _age(session: Session, seconds: float) -> None:
    session.execute(update(RateBucket).values(filled_at=RateBucket.filled_at - seconds))
