"""Requests that are repeated: known by key or by fingerprint, answered once, on both databases."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core.errors import Busy, Conflict
from core.records import idempotency, keys
from core.records.engine import Database
from core.records.idempotency import Begun
from core.records.tables import IdempotentRequest
from tests import service_builders as build


@pytest.fixture
def owner(database: Database) -> tuple[str, str]:
    """A project and one of its keys."""
    project = build.project(database)
    with database.write() as session:
        return project, keys.create(session, project, "test", build.HASHING, scopes=[])[0].id


def begin(database: Database, owner: tuple[str, str], print_: str = "aa", **how: Any) -> Any:
    values = {"idempotency_key": None, "is_retry": False, **how}
    with database.write() as session:
        return idempotency.begin(session, *owner, print_, **values)


def answer(database: Database, begun: Begun, content: dict[str, Any]) -> None:
    with database.write() as session:
        idempotency.answer(session, begun, content)


def withdraw(database: Database, begun: Begun) -> None:
    with database.write() as session:
        idempotency.withdraw(session, begun)


def remembered(database: Database) -> int:
    with database.read() as session:
        return session.execute(select(func.count()).select_from(IdempotentRequest)).scalar_one()


def age(database: Database, seconds: float) -> None:
    with database.write() as session:
        session.execute(
            update(IdempotentRequest).values(
                created_at=IdempotentRequest.created_at - seconds,
                gives_up_at=IdempotentRequest.gives_up_at - seconds,
            )
        )


WAYS: list[dict[str, Any]] = [{"idempotency_key": "k"}, {"is_retry": True}]


@pytest.mark.parametrize("again", WAYS, ids=["key", "retry"])
class TestARepetition:
    def first(self, again: dict[str, Any]) -> dict[str, Any]:
        return {**again, "is_retry": False}

    def test_has_the_first_answer(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        answer(database, begin(database, owner, **self.first(again)), {"id": "job-1"})
        assert begin(database, owner, **again) == {"id": "job-1"}
        assert begin(database, owner, **again) == {"id": "job-1"}

    def test_waits_while_the_first_runs(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        begin(database, owner, **self.first(again))
        with pytest.raises(Busy):
            begin(database, owner, **again)

    def test_begins_anew_when_the_first_failed(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        begun = begin(database, owner, **self.first(again))
        with database.write() as session:
            idempotency.fail(session, begun)
        second = begin(database, owner, **again)
        assert isinstance(second, Begun)
        answer(database, second, {"id": "job-2"})
        assert begin(database, owner, **again) == {"id": "job-2"}

    def test_begins_anew_when_the_first_was_withdrawn(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        withdraw(database, begin(database, owner, **self.first(again)))
        assert remembered(database) == 0
        second = begin(database, owner, **again)
        answer(database, second, {"id": "job-2"})
        assert begin(database, owner, **again) == {"id": "job-2"}

    def test_is_not_withdrawn_by_whom_it_was_taken_over_from(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        slow = begin(database, owner, **self.first(again))
        age(database, idempotency.RUNNING_SECONDS + 1)
        second = begin(database, owner, **again)
        withdraw(database, slow)
        answer(database, second, {"id": "job-2"})
        withdraw(database, second)  # answered: it stays
        assert begin(database, owner, **again) == {"id": "job-2"}

    def test_takes_over_what_a_dead_process_left_and_the_dead_cannot_answer(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        dead = begin(database, owner, **self.first(again))
        age(database, idempotency.RUNNING_SECONDS + 1)
        second = begin(database, owner, **again)
        assert isinstance(second, Begun)
        with pytest.raises(Busy):
            answer(database, dead, {"id": "job-1"})
        with database.write() as session:
            idempotency.fail(session, dead)  # changes nothing either
        answer(database, second, {"id": "job-2"})
        assert begin(database, owner, **again) == {"id": "job-2"}

    def test_is_carried_out_once_by_many_at_a_time(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        begun: list[Begun] = []
        barrier = threading.Barrier(6)

        def run() -> None:
            barrier.wait()
            try:
                found = begin(database, owner, **again)
            except Busy:
                return
            assert isinstance(found, Begun)
            begun.append(found)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(begun) == 1

    def test_is_of_one_key_alone(
        self, database: Database, owner: tuple[str, str], again: dict[str, Any]
    ) -> None:
        answer(database, begin(database, owner, **self.first(again)), {"id": "job-1"})
        with database.write() as session:
            other = keys.create(session, owner[0], "other", build.HASHING, scopes=[])[0].id
        assert isinstance(begin(database, (owner[0], other), **again), Begun)


def test_a_key_stands_for_one_request(database: Database, owner: tuple[str, str]) -> None:
    answer(database, begin(database, owner, "aa", idempotency_key="k"), {})
    with pytest.raises(Conflict) as caught:
        begin(database, owner, "bb", idempotency_key="k")
    assert caught.value.code == "idempotency_key_reused"
    assert not isinstance(caught.value, Busy)


def test_a_key_whose_request_was_refused_may_be_sent_with_a_better_one(
    database: Database, owner: tuple[str, str]
) -> None:
    with database.write() as session:
        refused = idempotency.begin(session, *owner, "aa", idempotency_key="k", is_retry=False)
        assert isinstance(refused, Begun)
        idempotency.fail(session, refused)
    answer(database, begin(database, owner, "bb", idempotency_key="k"), {"id": "job-1"})
    assert begin(database, owner, "bb", idempotency_key="k") == {"id": "job-1"}


def test_a_withdrawn_key_stands_for_nothing(database: Database, owner: tuple[str, str]) -> None:
    withdraw(database, begin(database, owner, "aa", idempotency_key="k"))
    answer(database, begin(database, owner, "bb", idempotency_key="k"), {"id": "job-1"})
    assert begin(database, owner, "bb", idempotency_key="k") == {"id": "job-1"}


def test_the_repetition_of_a_withdrawn_request_is_not_answered_as_an_equal_one(
    database: Database, owner: tuple[str, str]
) -> None:
    """The first made a job; the second was refused, say for a file deleted meanwhile."""
    answer(database, begin(database, owner), {"id": "job-1"})
    withdraw(database, begin(database, owner))
    assert isinstance(begin(database, owner, is_retry=True), Begun)


def test_a_first_try_is_a_request_of_its_own_however_equal(
    database: Database, owner: tuple[str, str]
) -> None:
    answer(database, begin(database, owner), {"id": "job-1"})
    second = begin(database, owner)
    assert isinstance(second, Begun)
    answer(database, second, {"id": "job-2"})
    assert begin(database, owner, is_retry=True) == {"id": "job-2"}


def test_a_retry_is_not_of_what_is_long_ago(database: Database, owner: tuple[str, str]) -> None:
    answer(database, begin(database, owner), {"id": "job-1"})
    age(database, idempotency.RETRY_SECONDS + 1)
    assert isinstance(begin(database, owner, is_retry=True), Begun)


def test_requests_are_forgotten_after_a_day(database: Database, owner: tuple[str, str]) -> None:
    answer(database, begin(database, owner, idempotency_key="k"), {"id": "job-1"})
    with database.write() as session:
        assert idempotency.forget(session) == 0
    age(database, idempotency.KEEP_SECONDS + 1)
    with database.write() as session:
        assert idempotency.forget(session) == 1
    assert remembered(database) == 0
