"""Requests per minute: of one process, of several on one database, and on the wire."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import IntegrityError

from api.auth import check_standing
from api.metering import Meter
from api.rates import SHARES, RateLimiter, Standing
from core.access.limits import Limits
from core.errors import RateLimited
from core.records import keys, limits, usage
from core.records.engine import Database
from core.records.tables import RateBucket
from core.records.usage import Month
from tests import service_builders as build
from tests.api_service import Service, add_key, open_service
from tests.fake_time import run_in_fake_time


class Clock:
    """Time that passes when a test says so, for a limiter and for the buckets behind it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += seconds
        with self._database.write() as session:
            earlier = RateBucket.filled_at - seconds
            session.execute(update(RateBucket).values(filled_at=earlier))


@pytest.fixture
def clock(database: Database) -> Clock:
    return Clock(database)


def test_a_minutes_requests_and_not_one_more(database: Database, clock: Clock) -> None:
    project = build.project(database)
    limiter = RateLimiter(database, clock)
    standings = [limiter.admit(project, "key-a", 10) for _ in range(10)]
    assert [each.remaining for each in standings] == list(range(9, -1, -1))
    assert all(each.retry_after is None for each in standings)
    refused = limiter.admit(project, "key-a", 10)
    assert refused.retry_after == pytest.approx(6.0, abs=0.5)
    assert refused.reset_seconds == pytest.approx(60.0, abs=0.5)
    assert refused.headers()["x-ratelimit-limit-requests"] == "10"
    assert refused.headers()["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers()["x-ratelimit-reset-requests"] == "60s"


@pytest.mark.parametrize(("retry_after", "waited"), [(6.0, 1.0), (0.25, 0.25)])
def test_a_refusal_comes_late_and_says_what_is_left(retry_after: float, waited: float) -> None:
    async def refused() -> tuple[float, RateLimited]:
        standing = Standing(10, 0, 60.0, retry_after)
        with pytest.raises(RateLimited) as caught:
            await check_standing(standing, "key-a", 1.0)
        return asyncio.get_running_loop().time(), caught.value

    at, error = run_in_fake_time(refused())
    assert at == pytest.approx(waited)
    assert error.retry_after == pytest.approx(retry_after - waited)
    assert f"after {retry_after - waited:.1f} s" in error.message


def test_who_is_not_refused_does_not_wait() -> None:
    async def passed() -> float:
        await check_standing(Standing(10, 3, 60.0), "key-a", 1.0)
        return asyncio.get_running_loop().time()

    assert run_in_fake_time(passed()) == 0.0


def test_who_waits_as_told_is_let_through(database: Database, clock: Clock) -> None:
    project = build.project(database)
    limiter = RateLimiter(database, clock)
    for per_minute in (7, 100, 6000):
        owner = f"key-{per_minute}"
        while (standing := limiter.admit(project, owner, per_minute)).retry_after is None:
            pass
        clock.pass_(standing.retry_after + 1e-6)
        assert limiter.admit(project, owner, per_minute).retry_after is None


def test_several_processes_together_let_no_more_through(database: Database, clock: Clock) -> None:
    project = build.project(database)
    processes = [RateLimiter(database, clock) for _ in range(4)]
    passed = 0
    for _ in range(100):
        for limiter in processes:
            passed += limiter.admit(project, "key-a", 60).retry_after is None
    # Each may hold a share that it did not hand out.
    assert 60 - 4 * (60 // SHARES) <= passed <= 61


def test_threads_of_one_process_together_let_no_more_through(
    database: Database, clock: Clock
) -> None:
    project = build.project(database)
    limiter = RateLimiter(database, clock)
    passed: list[bool] = []

    def run() -> None:
        for _ in range(40):
            passed.append(limiter.admit(project, "key-a", 60).retry_after is None)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 57 <= sum(passed) <= 61


def test_it_is_written_rarely_however_many_ask(database: Database, clock: Clock) -> None:
    project = build.project(database)
    limiter = RateLimiter(database, clock)
    written: list[str] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda *seen: written.append(seen[2]) if seen[2].startswith("UPDATE") else None,
    )
    for _ in range(3000):
        limiter.admit(project, "key-a", 600)
        clock.at += 0.01  # half a minute in all, twice as many as there may be and more
    assert len(written) <= SHARES + 30 / 3 + 2


def test_a_limit_that_was_changed_counts_at_once(database: Database, clock: Clock) -> None:
    project = build.project(database)
    limiter = RateLimiter(database, clock)
    limiter.admit(project, "key-a", 1000)
    assert sum(limiter.admit(project, "key-a", 3).retry_after is None for _ in range(9)) == 3


def test_uses_are_counted_and_written_later(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
    meter = Meter(database)
    for _ in range(3):
        meter.note(project, key.id)
    with database.read() as session:
        assert keys.get(session, project, key.id).last_used_at is None
    for _ in range(2):
        meter.flush()  # the second has nothing to add
    with database.read() as session:
        month = Month.present(session)
        assert usage.requests(session, project, month) == {key.id: 3}
        assert keys.get(session, project, key.id).last_used_at is not None


def test_what_could_not_be_written_is_not_lost(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
        other, _ = build.key(session, project)
    meter = Meter(database)
    meter.note(project, key.id)
    meter.note("proj-unknown", other.id)  # the database refuses it: there is no such project
    with pytest.raises(IntegrityError):
        meter.flush()
    with database.read() as session:
        assert usage.requests(session, project, Month.present(session)) == {}
    meter.note(project, key.id)
    assert {name: count.requests for name, count in meter._counts.items()} == {
        key.id: 2,
        other.id: 1,
    }


def test_a_key_that_went_with_its_project_stops_no_others_count(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
    meter = Meter(database)
    meter.note(project, key.id)
    meter.note("proj-gone", "key-gone")
    meter.flush()
    assert meter._counts == {}
    with database.read() as session:
        assert usage.requests(session, project, Month.present(session)) == {key.id: 1}


def test_the_last_counts_are_written_when_the_service_ends(tmp_path: Path) -> None:
    with open_service(tmp_path) as service:
        for _ in range(4):
            service.client.get("/v1/files")
        project_id = service.project_id
    database = Database(service.settings.resolved_database_url)
    with database.read() as session:
        month = Month.present(session)
        assert list(usage.requests(session, project_id, month).values()) == [4]
    database.close()


class TestOnTheWire:
    def test_headers_count_down_and_a_refusal_says_when_to_come_again(
        self, service: Service
    ) -> None:
        project_id, secret = add_key(service.database, "limited", ["files:read"])
        headers = {"authorization": f"Bearer {secret}"}
        assert (
            "x-ratelimit-limit-requests"
            not in service.client.get("/v1/files", headers=headers).headers
        )
        _limit(service, project_id, Limits(requests_per_minute=3))
        answers = [service.client.get("/v1/files", headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
        assert remaining == ["2", "1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"3"}
        assert answers[-1].headers["x-ratelimit-reset-requests"] in ("59s", "60s")
        assert answers[-1].headers["retry-after"] in ("19", "20")
        assert "x-should-retry" not in answers[-1].headers
        error = answers[-1].json()["error"]
        assert (error["code"], error["type"]) == ("rate_limit_exceeded", "invalid_request_error")

    def test_answers_that_refuse_count_too(self, service: Service) -> None:
        project_id, secret = add_key(service.database, "curious", ["files:read"])
        _limit(service, project_id, Limits(requests_per_minute=2))
        headers = {"authorization": f"Bearer {secret}"}
        for path, status in (("/v1/models", 403), ("/v1/files/file-none", 404)):
            answer = service.client.get(path, headers=headers)
            assert answer.status_code == status
            assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert service.client.get("/v1/files", headers=headers).status_code == 429

    def test_a_key_and_its_project_are_limited_apart(self, service: Service) -> None:
        project_id, first = add_key(service.database, "shared", ["files:read"])
        _, second = add_key(service.database, "shared", ["files:read"])
        with service.database.read() as session:
            of_first = keys.list_keys(session, project_id, order="asc").items[0]
        with service.database.write() as session:
            limits.put(session, project_id, of_first.id, Limits(requests_per_minute=1))
            limits.put(session, project_id, project_id, Limits(requests_per_minute=3))

        def status(secret: str) -> int:
            headers = {"authorization": f"Bearer {secret}"}
            return service.client.get("/v1/files", headers=headers).status_code

        assert [status(first), status(first)] == [200, 429]
        assert [status(second), status(second), status(second)] == [200, 200, 429]


def _limit(service: Service, project_id: str, wanted: Limits) -> None:
    """As the app itself does it: what others commit, it hears of a moment later."""
    with service.own_database.write() as session:
        limits.put(session, project_id, project_id, wanted)
