"""What an API process believes of the database for a moment. No test waits on real time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from api import beliefs
from api.beliefs import SECONDS, Beliefs
from core.errors import NotFound, Unauthenticated
from core.records import aliases, keys, models
from core.records.engine import Database
from tests import service_builders as build
from tests.service_builders import HASHING


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def another_process(database: Database) -> Iterator[Database]:
    """A pool of its own, as another API process has."""
    other = Database(database.engine.url.render_as_string(hide_password=False))
    try:
        yield other
    finally:
        other.close()


def test_it_reads_once_a_moment(database: Database) -> None:
    clock, reads = Clock(), list[str]()
    known: Beliefs[str, str] = Beliefs(database, clock)

    def ask(name: str) -> str:
        def read() -> str:
            reads.append(name)
            return name.upper()

        return asyncio.run(known.get(name, read))

    assert [ask("a"), ask("a"), ask("b")] == ["A", "A", "B"]
    assert reads == ["a", "b"]
    clock.now += SECONDS
    assert ask("a") == "A"
    assert reads == ["a", "b", "a"]


def test_those_who_ask_at_once_read_once(database: Database) -> None:
    known: Beliefs[str, int] = Beliefs(database, Clock())
    reads = list[int]()

    def read() -> int:
        reads.append(1)
        return len(reads)

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(known.get("a", read) for _ in range(20)))

    assert asyncio.run(all_at_once()) == [1] * 20


def test_what_this_process_commits_counts_at_once(database: Database) -> None:
    known: Beliefs[str, int] = Beliefs(database, Clock())
    project = build.project(database)
    with database.write() as session:
        _, secret = build.key(session, project)

    def count() -> int:
        with database.read() as session:
            return keys.count(session)

    assert asyncio.run(known.get(secret, count)) == 1
    with database.write() as session:
        build.key(session, project)
    assert asyncio.run(known.get(secret, count)) == 2


def test_a_key_revoked_by_another_process_opens_nothing_a_moment_later(
    database: Database,
) -> None:
    clock = Clock()
    known: Beliefs[str, str] = Beliefs(database, clock)
    project = build.project(database)
    with database.write() as session:
        key, secret = build.key(session, project)

    def authenticate() -> str:
        with database.read() as session:
            return keys.authenticate(session, secret, HASHING).id

    assert asyncio.run(known.get(secret, authenticate)) == key.id
    with another_process(database) as other, other.write() as session:
        keys.revoke(session, project, key.id)
    clock.now += SECONDS / 2
    assert asyncio.run(known.get(secret, authenticate)) == key.id
    clock.now += SECONDS / 2
    with pytest.raises(Unauthenticated):
        asyncio.run(known.get(secret, authenticate))


def test_what_is_not_found_is_looked_for_again(database: Database) -> None:
    known: Beliefs[str, str] = Beliefs(database, Clock())
    project = build.project(database)

    def find() -> str:
        with database.read() as session:
            return models.get(session, project, "best").id

    with pytest.raises(NotFound):
        asyncio.run(known.get("best", find))
    with another_process(database) as other, other.write() as session:
        base = models.register_base(
            session,
            "tiny",
            object_key="bases/tiny.tar",
            sha256="0" * 64,
            size=1,
            members={},
            info={},
        )
        aliases.point(session, project, "best", base.id)
    assert asyncio.run(known.get("best", find)) == base.id


def test_a_commit_during_the_reading_outdates_what_was_read(database: Database) -> None:
    known: Beliefs[str, int] = Beliefs(database, Clock())
    project = build.project(database)

    def count_and_then_commit() -> int:
        with database.read() as session:
            found = keys.count(session)
        with database.write() as session:
            build.key(session, project)
        return found

    before = asyncio.run(known.get("keys", count_and_then_commit))
    assert asyncio.run(known.get("keys", count_and_then_commit)) == before + 1


def test_it_does_not_grow_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beliefs, "MOST", 3)
    known: Beliefs[int, int] = Beliefs(database, Clock())
    for number in range(10):
        assert asyncio.run(known.get(number, partial(int, number))) == number
    assert len(known._held) <= 3
