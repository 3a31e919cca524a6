"""Pause, resume, retry, and a cancel that keeps: what each does to a job wherever it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import Conflict, NotFound
from core.jobs.checkpoint import StoredPart
from core.jobs.messages import Checkpoint, Message, StoredModel
from core.records import checkpoints, events, jobs, leases, models, outbox, publishing, stopping
from core.records.engine import Database, Session
from core.records.leases import Claim
from core.records.tables import Job
from tests import service_builders as build
from tests.service_builders import LEASE, MOST

ASK: dict[str, Callable[[Session, str, str], Job]] = {
    "pause": stopping.request_pause,
    "resume": stopping.resume,
    "retry": stopping.retry,
}


def ask(database: Database, job: Job, what: str) -> Job:
    with database.write() as session:
        return ASK[what](session, job.project_id, job.id)


def cancel(database: Database, job: Job, *, keep: bool) -> Job:
    with database.write() as session:
        return jobs.request_cancel(session, job.project_id, job.id, keep=keep)


def saved(claim: Claim, step: int = 10) -> Checkpoint:
    key = f"jobs/{claim.job_id}/attempts/{claim.attempt}/checkpoints/{step}"
    return Checkpoint(
        run=0, step=step, parts={"0.state": StoredPart(object_key=key, sha256="aa", size=1)}
    )


def kept_model(claim: Claim) -> StoredModel:
    return StoredModel(
        id=f"{claim.spec.model_id}:step-10",
        kind="checkpoint",
        object_key=f"jobs/{claim.job_id}/attempts/{claim.attempt}/checkpoint.tar",
        sha256="bb",
        size=2,
        members={},
        seed=0,
        step=10,
    )


def give_back(database: Database, claim: Claim, *messages: Message) -> str:
    with database.write() as session:
        return leases.give_back(session, claim, messages).status


def moves(database: Database, job: Job) -> list[str]:
    with database.read() as session:
        found = jobs.list_transitions(session, job.project_id, job.id)
    return [row.to_status for row in found]


def said(database: Database, job: Job) -> list[str]:
    with database.read() as session:
        page = events.list_events(session, job.project_id, job.id, limit=1000)
    assert [row.sequence for row in page.items] == list(range(1, len(page.items) + 1))
    return [row.message for row in page.items]


def nothing_waits(database: Database) -> bool:
    with database.write() as session:
        return leases.claim(session, "worker", "boot", LEASE) is None


@pytest.mark.parametrize("checked", [True, False])
def test_a_job_that_waits_is_paused_at_once_and_waits_again(
    database: Database, checked: bool
) -> None:
    job = build.job(database, build.project(database), checked=checked)
    paused = ask(database, job, "pause")
    assert (paused.status, paused.finished_at) == ("paused", None)
    assert nothing_waits(database)
    build.make_bell_due(database, job)
    with database.write() as session:
        assert outbox.take_due(session) == []  # nobody rings for it either
    assert ask(database, job, "resume").status == "queued"
    build.make_bell_due(database, job)
    with database.write() as session:
        assert outbox.take_due(session) == [job.id]
    assert build.claim(database).duty == ("train" if checked else "check")


def test_a_job_that_runs_goes_on_until_its_state_is_saved(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    asked = ask(database, job, "pause")
    assert (asked.status, asked.stop_for) == ("running", "pause")
    with database.write() as session:
        assert leases.heartbeat(session, claim, LEASE) == "save"
        assert leases.relay(session, claim, []) == "save"
    assert give_back(database, claim, saved(claim)) == "paused"
    found = build.read(database, job)
    assert (found.stop_for, found.lease_token, found.failures) == (None, None, 0)
    ask(database, job, "resume")
    again = build.claim(database)
    assert [reference.step for reference in again.checkpoints] == [10]
    assert again.attempt == 2
    assert moves(database, job) == ["queued", "running", "paused", "queued", "running"]


def test_a_pause_of_a_job_being_checked(database: Database) -> None:
    job = build.job(database, build.project(database), checked=False)
    claim = build.claim(database)
    ask(database, job, "pause")
    with database.write() as session:
        assert leases.heartbeat(session, claim, LEASE) == "save"
    assert give_back(database, claim) == "paused"
    assert ask(database, job, "resume").status == "queued"
    assert build.claim(database).duty == "check"


def test_a_job_that_ends_before_it_is_paused_has_ended(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    ask(database, job, "pause")
    with database.write() as session:
        outcome = publishing.publish(session, claim, build.results(claim), max_attempts=MOST)
    assert outcome.status == "succeeded"
    assert build.read(database, job).stop_for is None


def test_a_worker_lost_while_it_should_pause_leaves_the_job_paused(database: Database) -> None:
    job = build.job(database, build.project(database))
    build.claim(database)
    ask(database, job, "pause")
    build.age(database, job.id)
    with database.write() as session:
        (outcome,) = leases.reap(session, max_attempts=MOST)
    assert (outcome.status, outcome.retry_seconds) == ("paused", None)
    assert build.read(database, job).failures == 1
    ask(database, job, "resume")
    assert build.claim(database).job_id == job.id  # at once: its cool-off is over


def test_a_job_whose_lease_ran_out_is_paused_at_once(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    build.age(database, job.id)
    assert ask(database, job, "pause").status == "paused"
    with database.write() as session, pytest.raises(leases.LeaseLost):
        leases.heartbeat(session, claim, LEASE)


def test_a_pause_can_be_taken_back_while_the_worker_saves(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    ask(database, job, "pause")
    taken_back = ask(database, job, "resume")
    assert (taken_back.status, taken_back.stop_for) == ("running", None)
    assert give_back(database, claim) == "queued"  # it had been told already


@pytest.mark.parametrize("what", ["pause", "resume"])
def test_asking_twice_is_asking_once(database: Database, what: str) -> None:
    job = build.job(database, build.project(database))
    if what == "resume":
        ask(database, job, "pause")
    first = ask(database, job, what)
    lines = said(database, job)
    assert ask(database, job, what).status == first.status
    assert said(database, job) == lines


def test_resuming_what_was_never_paused_changes_nothing(database: Database) -> None:
    job = build.job(database, build.project(database))
    assert ask(database, job, "resume").status == "queued"
    build.claim(database)
    assert ask(database, job, "resume").status == "running"
    assert "resumed" not in " ".join(said(database, job))


def test_a_paused_job_can_be_cancelled(database: Database) -> None:
    job = build.job(database, build.project(database))
    ask(database, job, "pause")
    assert cancel(database, job, keep=False).status == "cancelled"
    for what in ("pause", "resume", "retry"):
        with pytest.raises(Conflict, match="cancelled") as fault:
            ask(database, job, what)
        assert fault.value.code == "job_already_ended"


@pytest.mark.parametrize("what", sorted(ASK))
def test_a_job_being_cancelled_is_left_to_it(database: Database, what: str) -> None:
    job = build.job(database, build.project(database))
    build.claim(database)
    cancel(database, job, keep=False)
    with pytest.raises(Conflict, match="cancelling"):
        ask(database, job, what)


@pytest.mark.parametrize("what", sorted(ASK))
def test_anothers_job_is_none(database: Database, what: str) -> None:
    job = build.job(database, build.project(database))
    stranger = build.project(database, "theirs")
    with database.write() as session, pytest.raises(NotFound):
        ASK[what](session, stranger, job.id)


def test_a_cancel_beats_a_pause(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    ask(database, job, "pause")
    assert cancel(database, job, keep=False).stop_for is None
    with database.write() as session:
        assert leases.heartbeat(session, claim, LEASE) == "cancel"
    assert give_back(database, claim) == "cancelled"


# Retry.


def fail(database: Database, claim: Claim, reason: str, *messages: Message) -> None:
    with database.write() as session:
        leases.fail(session, claim, reason, "because", messages=messages, max_attempts=1)


def test_a_failed_job_goes_on_from_its_checkpoint(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    fail(database, claim, "storage_error", saved(claim))
    assert build.read(database, job).status == "failed"
    again = ask(database, job, "retry")
    assert (again.status, again.failures, again.status_reason) == ("queued", 0, None)
    assert (again.finished_at, again.error_message) == (None, None)
    assert ask(database, job, "retry").status == "queued"  # asked twice
    claim = build.claim(database)
    assert (claim.attempt, [found.step for found in claim.checkpoints]) == (2, [10])


@pytest.mark.parametrize("reason", sorted(stopping.REPEATING))
def test_what_would_fail_again_is_not_retried(database: Database, reason: str) -> None:
    job = build.job(database, build.project(database))
    fail(database, build.claim(database), reason)
    with pytest.raises(Conflict, match=reason) as fault:
        ask(database, job, "retry")
    assert fault.value.code == "retry_would_repeat"


def test_a_job_that_succeeded_is_not_retried(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    with database.write() as session:
        publishing.publish(session, claim, build.results(claim), max_attempts=MOST)
    with pytest.raises(Conflict, match="succeeded"):
        ask(database, job, "retry")


# A cancel that keeps.


def test_what_is_kept_is_made_by_a_worker_from_the_last_checkpoint(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    asked = cancel(database, job, keep=True)
    assert (asked.status, asked.stop_for) == ("cancelling", "keep")
    with database.write() as session:
        assert leases.heartbeat(session, claim, LEASE) == "save"
    assert give_back(database, claim, saved(claim)) == "cancelling"
    keeping = build.claim(database)
    assert (keeping.duty, keeping.attempt) == ("keep", 2)
    assert [reference.step for reference in keeping.checkpoints] == [10]
    with database.write() as session:
        assert leases.heartbeat(session, keeping, LEASE) == "go_on"
        made = [kept_model(keeping)]
        outcome = publishing.publish_kept(session, keeping, made, max_attempts=MOST)
    assert outcome.status == "cancelled"
    with database.read() as session:
        (model,) = models.checkpoints(session, project, job.id).items
        assert checkpoints.usable(session, job.id) == []
    assert model.id == f"{keeping.spec.model_id}:step-10"
    assert moves(database, job) == ["queued", "running", "cancelling", "cancelled"]
    assert f"Kept as {model.id}." in said(database, job)


def test_a_paused_job_is_kept_too(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    ask(database, job, "pause")
    give_back(database, claim, saved(claim))
    assert cancel(database, job, keep=True).status == "cancelling"
    build.make_bell_due(database, job)
    with database.write() as session:
        assert outbox.take_due(session) == [job.id]
    assert build.claim(database).duty == "keep"


def test_without_a_checkpoint_there_is_nothing_to_keep(database: Database) -> None:
    project = build.project(database)
    waiting, running = build.job(database, project), build.job(database, project)
    assert cancel(database, waiting, keep=True).status == "cancelled"
    claim = build.claim(database)
    assert claim.job_id == running.id
    cancel(database, running, keep=True)
    assert give_back(database, claim) == "cancelled"
    assert "There is no checkpoint to keep." in said(database, running)


def test_keeping_is_tried_as_often_as_a_job_is(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    cancel(database, job, keep=True)
    give_back(database, claim, saved(claim))
    for lost in range(1, MOST + 1):
        assert build.claim(database).duty == "keep"
        build.age(database, job.id)
        with database.write() as session:
            (outcome,) = leases.reap(session, max_attempts=MOST)
        assert outcome.status == ("cancelled" if lost == MOST else "cancelling")
        build.age(database, job.id)
    assert any("Nothing could be kept" in message for message in said(database, job))


def test_a_job_that_was_done_before_it_saw_the_cancel_is_kept(database: Database) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    cancel(database, job, keep=True)
    with database.write() as session:
        reported = [saved(claim), *build.results(claim)]
        outcome = publishing.publish(session, claim, reported, max_attempts=MOST)
    assert outcome.status == "cancelling"
    assert build.claim(database).duty == "keep"


@pytest.mark.parametrize("key", ["jobs/another/attempts/1/x", "files/x"])
def test_a_kept_model_lies_where_its_job_may_write(database: Database, key: str) -> None:
    job = build.job(database, build.project(database))
    claim = build.claim(database)
    cancel(database, job, keep=True)
    give_back(database, claim, saved(claim))
    keeping = build.claim(database)
    made = kept_model(keeping).model_copy(update={"object_key": key})
    with database.write() as session:
        publishing.publish_kept(session, keeping, [made], max_attempts=MOST)
    with database.read() as session:
        assert models.of_job(session, job.project_id, job.id) == []
