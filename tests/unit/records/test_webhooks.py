"""What is to be sent, to whom, when again, and who sends it: on both databases."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update

from core.errors import Conflict, NotFound
from core.records import comparisons, jobs, leases, publishing, webhooks
from core.records import deliveries as records
from core.records.deliveries import SCHEDULE, Held, Outcome
from core.records.engine import Database
from core.records.tables import Job, WebhookDelivery, WebhookEndpoint
from core.records.webhooks import EVENT_TYPES
from tests import service_builders as build

OK, BAD = Outcome(0.1, 200), Outcome(0.1, 500)


def endpoint(database: Database, project: str, **values: Any) -> WebhookEndpoint:
    asked: dict[str, Any] = {
        "url": "https://example.com/",
        "event_types": list(EVENT_TYPES),
        "description": None,
        "secret": "whsec_aaaa",
    }
    with database.write() as session:
        return webhooks.create(session, project, **{**asked, **values})


def deliveries(database: Database, row: WebhookEndpoint) -> list[WebhookDelivery]:
    with database.read() as session:
        return records.list_deliveries(session, row, after=None, order="asc", limit=100).items


def end(database: Database, project: str) -> Job:
    """A job that was cancelled."""
    job = build.job(database, project)
    with database.write() as session:
        return jobs.request_cancel(session, project, job.id)


def hold(database: Database, most: int = 10) -> list[Held]:
    with database.write() as session:
        return records.hold_due(session, most)


def record(database: Database, held: Held, outcome: Outcome) -> None:
    with database.write() as session:
        records.record(session, held, outcome)


def pass_time(database: Database, seconds: float) -> None:
    with database.write() as session:
        session.execute(update(WebhookDelivery).values(due_at=WebhookDelivery.due_at - seconds))
        session.execute(
            update(WebhookEndpoint).values(lease_until=WebhookEndpoint.lease_until - seconds)
        )


@pytest.fixture
def project(database: Database) -> str:
    return build.project(database)


class TestTheEndOfAJob:
    def test_is_told_however_it_ended(self, database: Database, project: str) -> None:
        row = endpoint(database, project)
        cancelled = end(database, project)
        succeeded = build.job(database, project)
        held = build.claim(database)
        with database.write() as session:
            publishing.publish(session, held, build.results(held), max_attempts=1)
        failed = build.job(database, project)
        with database.write() as session:
            claim = leases.claim(session, "worker", "boot", 60.0)
            assert claim is not None
            leases.fail(session, claim, "invalid_dataset", "no", max_attempts=3)
        told = [(item.event_type, item.object_id) for item in deliveries(database, row)]
        assert told == [
            ("fine_tuning.job.cancelled", cancelled.id),
            ("fine_tuning.job.succeeded", succeeded.id),
            ("fine_tuning.job.failed", failed.id),
        ]

    def test_is_told_exactly_when_the_job_has_ended(self, database: Database, project: str) -> None:
        row = endpoint(database, project)
        job = build.job(database, project)

        def cancel_and_fail() -> None:
            with database.write() as session:
                jobs.request_cancel(session, project, job.id)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            cancel_and_fail()
        assert deliveries(database, row) == []

    def test_is_no_end_while_it_is_tried_again(self, database: Database, project: str) -> None:
        row = endpoint(database, project)
        build.job(database, project)
        claim = build.claim(database)
        with database.write() as session:
            leases.fail(session, claim, "internal", "once more", max_attempts=3)
        assert deliveries(database, row) == []

    def test_is_told_to_each_who_wants_to_know_under_one_id(
        self, database: Database, project: str
    ) -> None:
        both = [endpoint(database, project) for _ in range(2)]
        other = endpoint(database, project, event_types=["fine_tuning.job.succeeded"])
        foreign = endpoint(database, build.project(database, "theirs"))
        off, gone = endpoint(database, project), endpoint(database, project)
        with database.write() as session:
            webhooks.change(session, project, off.id, status="disabled")
            webhooks.remove(session, project, gone.id)
        end(database, project)
        ids = [item.event_id for row in both for item in deliveries(database, row)]
        assert len(ids) == 2 and len(set(ids)) == 1
        assert [deliveries(database, row) for row in (other, foreign, off)] == [[], [], []]

    def test_of_a_comparison_is_told_too(self, database: Database, project: str) -> None:
        row = endpoint(database, project)
        with database.write() as session:
            found = comparisons.create(
                session,
                project,
                "cmp-1",
                {"model": "base:tiny"},
                [{"label": "ft", "method": {}, "of": []}],
            )
            comparisons.finish(session, found, "succeeded")
        [told] = deliveries(database, row)
        assert (told.event_type, told.object_id) == ("comparison.succeeded", "cmp-1")


class TestSending:
    @pytest.fixture
    def row(self, database: Database, project: str) -> WebhookEndpoint:
        row = endpoint(database, project)
        end(database, project)
        return row

    def test_is_done_once_when_it_is_answered(
        self, database: Database, row: WebhookEndpoint
    ) -> None:
        [held] = hold(database)
        record(database, held, OK)
        [told] = deliveries(database, row)
        assert (told.status, told.attempts) == ("delivered", 1)
        assert hold(database) == []

    def test_follows_the_schedule_and_then_gives_up(
        self, database: Database, row: WebhookEndpoint
    ) -> None:
        seen = []
        for pause in SCHEDULE:
            if pause:
                pass_time(database, pause - 4.0)
                assert hold(database) == []  # not before its time
                pass_time(database, 4.0)
            [held] = hold(database)
            seen.append(held.delivery.event_id)
            record(database, held, BAD)
        assert len(set(seen)) == 1
        [told] = deliveries(database, row)
        assert (told.status, told.attempts) == ("failed", 10)
        with database.read() as session:
            attempts = records.attempts_of(session, [told])[told.id]
        assert [attempt.status_code for attempt in attempts] == [500] * 10

    def test_is_begun_again_when_the_sender_died(
        self, database: Database, row: WebhookEndpoint
    ) -> None:
        [dead] = hold(database)
        assert hold(database) == []
        pass_time(database, records.HOLD_SECONDS)
        [again] = hold(database)
        assert again.delivery.event_id == dead.delivery.event_id
        record(database, dead, BAD)  # the dead one comes back: nothing it says counts
        assert hold(database) == []
        record(database, again, OK)
        [told] = deliveries(database, row)
        assert (told.status, told.attempts) == ("delivered", 1)

    def test_is_one_message_at_a_time_to_each_and_fair(
        self, database: Database, project: str, row: WebhookEndpoint
    ) -> None:
        end(database, project)
        other = endpoint(database, project)
        end(database, project)
        first = hold(database)
        assert {held.endpoint.id for held in first} == {row.id, other.id}
        assert hold(database) == []
        for held in first:
            record(database, held, OK)
        assert [held.endpoint.id for held in hold(database)] == [row.id]

    def test_is_done_by_one_of_many_senders(self, database: Database, project: str) -> None:
        rows = [endpoint(database, project) for _ in range(6)]
        end(database, project)
        found: list[str] = []
        barrier = threading.Barrier(4)

        def run() -> None:
            barrier.wait()
            for _ in range(3):
                found.extend(held.endpoint.id for held in hold(database, 2))

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(row.id for row in rows)

    def test_ends_for_good_with_gone(
        self, database: Database, project: str, row: WebhookEndpoint
    ) -> None:
        end(database, project)
        [held] = hold(database)
        record(database, held, Outcome(0.1, 410))
        assert [told.status for told in deliveries(database, row)] == ["failed", "dropped"]
        with database.read() as session:
            now = webhooks.get(session, project, row.id)
        assert now.status == "disabled"
        assert "410" in str(now.disabled_reason)
        end(database, project)
        assert len(deliveries(database, row)) == 2

    def test_again_by_hand_begins_the_schedule_anew(
        self, database: Database, project: str, row: WebhookEndpoint
    ) -> None:
        [held] = hold(database)
        record(database, held, OK)
        with database.write() as session:
            records.redeliver(session, row, held.delivery.id)
        [again] = hold(database)
        assert again.delivery.event_id == held.delivery.event_id
        record(database, again, BAD)
        [told] = deliveries(database, row)
        assert (told.status, told.attempts) == ("pending", 1)

    def test_by_hand_stands_though_an_attempt_was_under_way(
        self, database: Database, project: str, row: WebhookEndpoint
    ) -> None:
        [held] = hold(database)
        with database.write() as session:
            records.redeliver(session, row, held.delivery.id)
        record(database, held, OK)
        [told] = deliveries(database, row)
        assert (told.status, told.attempts) == ("pending", 0)

    def test_by_hand_is_refused_where_it_cannot_be(
        self, database: Database, project: str, row: WebhookEndpoint
    ) -> None:
        [told] = deliveries(database, row)
        with database.write() as session:
            with pytest.raises(NotFound):
                records.redeliver(session, row, "whd-none")
            off = webhooks.change(session, project, row.id, status="disabled")
            with pytest.raises(Conflict):
                records.redeliver(session, off, told.id)


def test_a_project_has_only_so_many(database: Database, project: str) -> None:
    for _ in range(webhooks.MAX_ENDPOINTS):
        last = endpoint(database, project)
    with pytest.raises(Conflict):
        endpoint(database, project)
    with database.write() as session:
        webhooks.remove(session, project, last.id)
    endpoint(database, project)


def test_what_ended_long_ago_is_forgotten(database: Database, project: str) -> None:
    row = endpoint(database, project)
    end(database, project)
    [held] = hold(database)
    record(database, held, OK)
    end(database, project)  # not sent yet: kept however old
    with database.write() as session:
        assert records.forget(session) == 0
        session.execute(
            update(WebhookDelivery).values(
                finished_at=WebhookDelivery.finished_at - records.KEEP_SECONDS
            )
        )
        assert records.forget(session) == 1
    assert [told.status for told in deliveries(database, row)] == ["pending"]
