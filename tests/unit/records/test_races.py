"""Writers at once, with real databases and threads: sequences, claims, rings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sqlalchemy import update

from core.records import events, leases, outbox
from core.records.engine import Database
from core.records.events import Line
from core.records.tables import OutboxRow
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
