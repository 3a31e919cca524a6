"""Claims, heartbeats, failures and recoveries: who may write what, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from core.jobs.messages import DatasetChecked, Event, Message, Metrics, Progress
from core.records import datasets, events, jobs, leases, outbox, publishing, results
from core.records.engine import Database, Session
from core.records.leases import Claim, LeaseLost
from core.records.tables import Job
from tests import service_builders as build
from tests.service_builders import LEASE, MOST


def test_a_claim_takes_the_oldest_job_and_starts_it(database: Database) -> None:
    project = build.project(database)
    older, newer = build.job(database, project), build.job(database, project)
    claim = build.claim(database)
    assert (claim.job_id, claim.duty, claim.attempt) == (older.id, "train", 1)
    assert claim.spec.job_id == older.id
    job = build.read(database, claim)
    assert (job.status, job.attempt, job.lease_owner) == ("running", 1, "worker")
    assert job.started_at is not None
    assert job.lease_expires_at == pytest.approx(job.started_at + LEASE, abs=5)
    assert build.claim(database).job_id == newer.id
    with database.write() as session:
        assert leases.claim(session, "worker", "boot", LEASE) is None


def test_an_unchecked_job_is_claimed_to_check_it(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project, checked=False)
    claim = build.claim(database)
    assert (claim.duty, claim.attempt) == ("check", 0)
    assert build.read(database, job).status == "validating_files"
    checked = DatasetChecked(version="new", index_key="new.parquet", summary={"images": 4})
    with database.write() as session:
        outcome = leases.pass_check(session, claim, [checked], max_attempts=MOST)
    assert outcome.status == "queued"
    assert build.read(database, job).lease_token is None
    again = build.claim(database)
    assert (again.job_id, again.duty, again.attempt) == (job.id, "train", 1)
    with database.read() as session:
        version = datasets.get(session, project, "new")
        moves = [row.to_status for row in jobs.list_transitions(session, project, job.id)]
    assert (version.index_key, version.summary) == ("new.parquet", {"images": 4})
    assert moves == ["validating_files", "queued", "running"]


def test_a_job_whose_datasets_another_job_checked_runs_at_once(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project, checked=False)
    with database.write() as session:
        datasets.mark_checked(session, project, "new", "i", {})
    assert build.claim(database).duty == "train"
    with database.read() as session:
        moves = [row.to_status for row in jobs.list_transitions(session, project, job.id)]
    assert moves == ["validating_files", "queued", "running"]


def test_a_check_that_leaves_a_dataset_unchecked_is_a_failure(database: Database) -> None:
    project = build.project(database)
    build.job(database, project, checked=False)
    claim = build.claim(database)
    with database.write() as session:
        outcome = leases.pass_check(session, claim, [], max_attempts=MOST)
    assert (outcome.status, outcome.retry_seconds) == ("validating_files", 2.0)
    assert build.read(database, claim).failures == 1


def test_a_heartbeat_extends_the_lease_on_the_databases_clock(database: Database) -> None:
    build.job(database, build.project(database))
    claim = build.claim(database)
    build.age(database, claim.job_id, LEASE / 2)
    before = build.read(database, claim).lease_expires_at
    with database.write() as session:
        assert leases.heartbeat(session, claim, LEASE) == "go_on"
    after = build.read(database, claim).lease_expires_at
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(LEASE / 2, abs=5)


def test_reports_become_rows(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    batch: list[Message] = [
        Progress(phase="preparing", fraction=0.1),
        Event(message="first\x00", data={"n": 1}),
        Metrics(seed=0, step=10, values={"loss": 0.5, "bad": float("nan")}),
        Event(level="warn", message="second"),
        Metrics(seed=0, step=11, values={"loss": 0.25}),
        Progress(phase="training", step=10, total_steps=20, fraction=0.5, remaining_seconds=30),
    ]
    with database.write() as session:
        assert leases.relay(session, claim, batch) == "go_on"
    found = build.read(database, job)
    assert (found.phase, found.step, found.total_steps, found.progress) == ("training", 10, 20, 0.5)
    assert found.progress_at is not None
    assert found.estimated_finish == pytest.approx(found.progress_at + 30, abs=1)
    with database.read() as session:
        metrics = results.list_metrics(session, project, job.id)
        page = events.list_events(session, project, job.id)
    assert [(row.name, row.value) for row in metrics] == [
        ("bad", None),
        ("loss", 0.5),
        ("loss", 0.25),
    ]
    assert [row.message for row in page.items[-2:]] == ["first", "second"]
    assert [row.sequence for row in page.items] == [1, 2, 3, 4]


@pytest.mark.parametrize("reason", sorted(leases.FINAL_REASONS))
def test_a_failure_that_would_repeat_itself_ends_the_job(database: Database, reason: str) -> None:
    project = build.project(database)
    build.job(database, project)
    claim = build.claim(database)
    with database.write() as session:
        outcome = leases.fail(
            session, claim, reason, "because", param="training_file", max_attempts=MOST
        )
    job = build.read(database, claim)
    assert (outcome.status, job.status, job.status_reason) == ("failed", "failed", reason)
    assert (job.error_message, job.error_param) == ("because", "training_file")
    assert (job.lease_token, job.phase) == (None, None)


@pytest.mark.parametrize(
    ("reason", "unit"),
    [("storage_error", 15.0), ("internal", 1.0), ("worker_lost", 1.0), ("timeout", 1.0)],
)
def test_other_failures_are_tried_again_until_the_last(
    database: Database, reason: str, unit: float
) -> None:
    project = build.project(database)
    job = build.job(database, project)
    for failure in range(1, MOST):
        claim = build.claim(database)
        assert claim.attempt == failure
        with database.write() as session:
            outcome = leases.fail(session, claim, reason, "because", max_attempts=MOST)
        assert (outcome.status, outcome.retry_seconds) == ("queued", unit * 2.0**failure)
        with database.write() as session:
            assert leases.claim(session, "worker", "boot", LEASE) is None  # it cools off
        build.age(database, job.id)
    claim = build.claim(database)
    with database.write() as session:
        outcome = leases.fail(session, claim, reason, "because", max_attempts=MOST)
    assert outcome.status == "failed"
    assert build.read(database, job).status_reason == reason


def test_a_worker_that_stops_gives_its_job_back_without_blame(database: Database) -> None:
    job = build.job(database, build.project(database))
    for attempt in range(1, MOST + 3):
        claim = build.claim(database)
        assert claim.attempt == attempt
        with database.write() as session:
            assert leases.give_back(session, claim).status == "queued"
    assert build.read(database, job).failures == 0


def test_a_cancel_that_came_first_wins_over_every_end(database: Database) -> None:
    project = build.project(database)
    ends: list[Callable[[Session, Claim], leases.Outcome]] = [
        lambda session, claim: publishing.publish(
            session, claim, build.results(claim), max_attempts=MOST
        ),
        lambda session, claim: leases.fail(session, claim, "internal", "x", max_attempts=MOST),
        leases.give_back,
    ]
    for end in ends:
        job = build.job(database, project)
        claim = build.claim(database)
        with database.write() as session:
            jobs.request_cancel(session, project, job.id)
        with database.write() as session:
            assert end(session, claim).status == "cancelled"
        assert build.read(database, job).fine_tuned_model is None


def test_an_expired_lease_is_reaped_and_a_living_one_is_not(database: Database) -> None:
    project = build.project(database)
    dead, alive = build.job(database, project), build.job(database, project)
    build.claim(database)
    build.claim(database)
    build.age(database, dead.id)
    with database.write() as session:
        outcomes = leases.reap(session, max_attempts=MOST)
    assert [(outcome.job_id, outcome.status) for outcome in outcomes] == [(dead.id, "queued")]
    assert build.read(database, alive).status == "running"
    assert build.read(database, dead).failures == 1


def test_a_cancelling_job_whose_worker_died_is_cancelled(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    build.claim(database)
    with database.write() as session:
        jobs.request_cancel(session, project, job.id)
    build.age(database, job.id)
    with database.write() as session:
        assert [outcome.status for outcome in leases.reap(session, max_attempts=MOST)] == [
            "cancelled"
        ]


@pytest.mark.parametrize("checked", [True, False])
def test_a_job_that_kills_its_workers_ends(database: Database, checked: bool) -> None:
    """Also while its dataset is being checked: those claims are no attempts, but they count."""
    project = build.project(database)
    job = build.job(database, project, checked=checked)
    for _ in range(MOST):
        build.claim(database)
        build.age(database, job.id)
        with database.write() as session:
            leases.reap(session, max_attempts=MOST)
        build.age(database, job.id)
    found = build.read(database, job)
    assert (found.status, found.status_reason) == ("failed", "worker_lost")
    assert found.attempt == (MOST if checked else 0)


def test_a_restarted_worker_takes_back_only_its_own_jobs(database: Database) -> None:
    project = build.project(database)
    for _ in range(3):
        build.job(database, project)
    ours = build.claim(database, "worker", "boot-1")
    theirs = build.claim(database, "other", "boot-1")
    current = build.claim(database, "worker", "boot-2")
    with database.write() as session:
        outcomes = leases.release_previous_boot(session, "worker", "boot-2", max_attempts=MOST)
    assert [(outcome.job_id, outcome.retry_seconds) for outcome in outcomes] == [(ours.job_id, 0.0)]
    assert build.read(database, theirs).status == "running"
    assert build.read(database, current).status == "running"
    assert build.claim(database, "worker", "boot-2").job_id == ours.job_id


FENCED: dict[str, Callable[[Session, Claim], object]] = {
    "heartbeat": lambda session, claim: leases.heartbeat(session, claim, LEASE),
    "relay": lambda session, claim: leases.relay(
        session,
        claim,
        [Event(message="stale"), Progress(phase="training", fraction=0.9), _metrics()],
    ),
    "pass_check": lambda session, claim: leases.pass_check(session, claim, [], max_attempts=MOST),
    "publish": lambda session, claim: publishing.publish(
        session, claim, build.results(claim), max_attempts=MOST
    ),
    "fail": lambda session, claim: leases.fail(
        session, claim, "invalid_spec", "stale", max_attempts=MOST
    ),
    "give_back": leases.give_back,
    "stop_cancelled": leases.stop_cancelled,
    "publish_kept": lambda session, claim: publishing.publish_kept(
        session, claim, [], max_attempts=MOST
    ),
}


@pytest.mark.parametrize("write", sorted(FENCED))
def test_a_stale_token_changes_nothing(database: Database, write: str) -> None:
    project = build.project(database)
    job = build.job(database, project)
    stale = build.claim(database)
    build.age(database, job.id)
    with database.write() as session:
        leases.reap(session, max_attempts=MOST)
    build.age(database, job.id)
    build.claim(database, "another")
    before = _everything(database, project, job.id)
    with pytest.raises(LeaseLost), database.write() as session:
        FENCED[write](session, stale)
    assert _everything(database, project, job.id) == before


def test_a_claim_takes_the_doorbell_down(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    build.make_bell_due(database, job)
    with database.write() as session:
        assert outbox.take_due(session) == [job.id]
    with database.write() as session:
        assert outbox.take_due(session) == []  # due again only later
    build.claim(database)
    build.make_bell_due(database, job)
    with database.write() as session:
        assert outbox.take_due(session) == []


def test_a_job_of_another_version_fails_and_does_not_block_the_queue(database: Database) -> None:
    project = build.project(database)
    unreadable, good = build.job(database, project), build.job(database, project)
    with database.write() as session:
        session.execute(
            update(Job).where(Job.id == unreadable.id).values(spec={"schema_version": 2})
        )
    assert build.claim(database).job_id == good.id
    assert build.read(database, unreadable).status == "failed"


def _metrics() -> Metrics:
    return Metrics(seed=0, step=1, values={"loss": 9.0})


def _everything(database: Database, project: str, job_id: str) -> list[object]:
    with database.read() as session:
        job = jobs.get(session, project, job_id)
        columns = {name: value for name, value in vars(job).items() if not name.startswith("_")}
        return [
            columns,
            [row.message for row in events.list_events(session, project, job_id).items],
            [row.to_status for row in jobs.list_transitions(session, project, job_id)],
            [row.value for row in results.list_metrics(session, project, job_id)],
        ]
