"""Writers at once, with real databases and threads: sequences, claims, rings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import update

from core.access.limits import Limits
from core.errors import QuotaExceeded, Unauthenticated
from core.records import events, files, keys, leases, limits, outbox, quotas, rates, usage
from core.records.engine import Database
from core.records.events import Line
from core.records.tables import OutboxRow
from core.records.usage import Month
from tests import service_builders as build


def test_sequences_have_no_gap_whoever_writes(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)

    def write(writer: int) -> None:
        for number in range(20):
            try:
                with database.write() as session:
                    lines = [Line(f"{writer}:{number}"), Line(f"{writer}:{number} again")]
                    events.append(session, job.id, lines)
                    if number % 5 == 4:
                        raise RuntimeError  # rolled back: its sequences go to the next
            except RuntimeError:
                continue

    _at_once(4, write)
    with database.read() as session:
        found = events.list_events(session, project, job.id, limit=1000).items
    assert [row.sequence for row in found] == list(range(1, 4 * 16 * 2 + 2))
    for writer in range(4):
        own = [row.message for row in found if row.message.startswith(f"{writer}:")]
        numbers = [int(message.split(":")[1].split()[0]) for message in own]
        assert numbers == sorted(numbers)


def test_who_reads_onwards_from_the_last_sequence_misses_nothing(database: Database) -> None:
    """Commit order: a sequence that can be read has every smaller one readable before it."""
    project = build.project(database)
    job = build.job(database, project)
    seen, writing = [1], threading.Event()

    def work(number: int) -> None:
        if number == 0:
            _read_until(lambda: writing.is_set() and seen[-1] == 1 + 2 * 30 * 2)
            return
        for count in range(30):
            with database.write() as session:
                events.append(session, job.id, [Line(f"{number}:{count}")])
                time.sleep(0.002)  # the sequence is taken and not yet to be seen
                events.append(session, job.id, [Line(f"{number}:{count} again")])
        writing.set()

    def _read_until(is_enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_enough():
            assert time.monotonic() < deadline, seen[-10:]
            with database.read() as session:
                found = events.news(session, {job.id: seen[-1]})[job.id]
            seen.extend(row.sequence for row in found.rows)

    _at_once(3, work)
    assert seen == list(range(1, len(seen) + 1))


def test_the_second_of_two_writers_waits_for_the_first(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    second_began = threading.Event()

    def second() -> None:
        second_began.set()
        with database.write() as session:
            events.append(session, job.id, [Line("second")])

    thread = threading.Thread(target=second)
    with database.write() as session:
        events.append(session, job.id, [Line("first")])
        thread.start()
        second_began.wait()
        thread.join(0.3)
        assert thread.is_alive()  # it would have the next sequence and be seen before
        with database.read() as other:
            assert [row.sequence for row in events.news(other, {job.id: 0})[job.id].rows] == [1]
    thread.join()
    with database.read() as other:
        rows = events.news(other, {job.id: 1})[job.id].rows
    assert [(row.sequence, row.message) for row in rows] == [(2, "first"), (3, "second")]


def test_a_job_is_claimed_once(database: Database) -> None:
    project = build.project(database)
    jobs = {build.job(database, project).id for _ in range(6)}
    claimed: list[str] = []

    def take(worker: int) -> None:
        while True:
            with database.write() as session:
                claim = leases.claim(session, f"worker-{worker}", "boot", 60.0)
            if claim is None:
                return
            claimed.append(claim.job_id)

    _at_once(4, take)
    assert sorted(claimed) == sorted(jobs)


def test_a_job_is_reaped_once(database: Database) -> None:
    project = build.project(database)
    for _ in range(4):
        build.age(database, build.job(database, project).id)
        build.age(database, build.claim(database).job_id)
    reaped: list[str] = []

    def reap(_worker: int) -> None:
        with database.write() as session:
            outcomes = leases.reap(session, max_attempts=3)
        reaped.extend(outcome.job_id for outcome in outcomes)

    _at_once(4, reap)
    assert len(reaped) == len(set(reaped)) == 4


def test_a_bell_is_rung_once_by_sweepers_at_once(database: Database) -> None:
    project = build.project(database)
    for _ in range(4):
        build.job(database, project)
    with database.write() as session:
        session.execute(update(OutboxRow).values(due_at=0.0))
    rung: list[str] = []

    def ring(_worker: int) -> None:
        with database.write() as session:
            due = outbox.take_due(session)
        rung.extend(due)

    _at_once(4, ring)
    assert len(rung) == len(set(rung)) == 4


def test_the_last_of_a_quota_is_given_once(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
        limits.put(session, project, project, Limits(stored_bytes=100))
    stored: list[int] = []

    def store(writer: int) -> None:
        try:
            with database.write() as session:
                name = f"object-{writer}"
                quotas.check_bytes(session, project, key.id, 60, name)
                files.create(
                    session,
                    project,
                    filename=name,
                    purpose="user_data",
                    size=60,
                    sha256=name,
                    object_key=name,
                )
        except QuotaExceeded:
            return
        stored.append(writer)

    _at_once(6, store)
    assert len(stored) == 1


def test_rotations_at_once_leave_one_secret(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)
    made: list[str] = []

    def rotate(_writer: int) -> None:
        with database.write() as session:
            made.append(keys.rotate(session, project, key.id, build.HASHING, 0.0)[1])

    _at_once(4, rotate)
    live = [secret for secret in made if _opens(database, secret)]
    assert len(live) == 1


def test_a_bucket_is_not_emptied_twice(database: Database) -> None:
    project = build.project(database)
    granted: list[int] = []

    def take(_writer: int) -> None:
        for _ in range(5):
            with database.write() as session:
                granted.append(rates.take(session, project, "key-a", 10, 1).granted)

    _at_once(4, take)
    assert sum(granted) in (10, 11)


def test_requests_counted_at_once_all_count(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        key, _ = build.key(session, project)

    def count(_writer: int) -> None:
        for _ in range(5):
            with database.write() as session:
                usage.count_requests(session, project, key.id, 2)

    _at_once(4, count)
    with database.read() as session:
        assert usage.requests(session, project, Month.present(session)) == {key.id: 40}


def _opens(database: Database, secret: str) -> bool:
    try:
        with database.read() as session:
            keys.authenticate(session, secret, build.HASHING)
    except Unauthenticated:
        return False
    return True


def _at_once(writers: int, work: Callable[[int], None]) -> None:
    start, faults = threading.Barrier(writers), list[BaseException]()

    def run(writer: int) -> None:
        try:
            start.wait()
            work(writer)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
