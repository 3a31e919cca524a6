"""The table of legal changes, and that a cancel is answered by status."""

from __future__ import annotations

import pytest

from core.errors import Conflict
from core.records import jobs, leases, publishing, states
from core.records.engine import Database
from tests import service_builders as build

EXPECTED = {
    "validating_files": {"queued", "paused", "failed", "cancelling", "cancelled"},
    "queued": {"validating_files", "running", "paused", "failed", "cancelling", "cancelled"},
    "running": {"queued", "paused", "succeeded", "failed", "cancelling", "cancelled"},
    "paused": {"queued", "cancelling", "cancelled"},
    "cancelling": {"cancelled"},
    "succeeded": set(),
    "failed": {"queued"},
    "cancelled": set(),
}


@pytest.mark.parametrize("current", states.STATUSES)
@pytest.mark.parametrize("to", states.STATUSES)
def test_only_what_is_written_here_is_legal(current: str, to: str) -> None:
    assert states.is_legal(current, to) == (to in EXPECTED[current])


def test_an_illegal_change_names_both_statuses() -> None:
    with pytest.raises(Conflict, match=r"ftjob-1 is paused and cannot become succeeded") as fault:
        states.check("ftjob-1", "paused", "succeeded")
    assert fault.value.code == "conflict"


@pytest.mark.parametrize("status", sorted(states.ENDED))
def test_a_job_that_ended_cannot_be_cancelled(database: Database, status: str) -> None:
    project = build.project(database)
    job = build.job(database, project)
    _end(database, project, job.id, status)
    with database.write() as session, pytest.raises(Conflict, match=status) as fault:
        jobs.request_cancel(session, project, job.id)
    assert fault.value.code == "job_already_ended"


@pytest.mark.parametrize("checked", [True, False])
def test_cancelling_a_waiting_job_ends_it_at_once(database: Database, checked: bool) -> None:
    project = build.project(database)
    job = build.job(database, project, checked=checked)
    with database.write() as session:
        cancelled = jobs.request_cancel(session, project, job.id)
    assert (cancelled.status, cancelled.status_reason) == ("cancelled", "user_cancelled")
    assert cancelled.finished_at is not None
    with database.write() as session:
        assert leases.claim(session, "worker", "boot", 60.0) is None


@pytest.mark.parametrize("checked", [True, False])
def test_cancelling_a_held_job_tells_its_worker(database: Database, checked: bool) -> None:
    project = build.project(database)
    job = build.job(database, project, checked=checked)
    claim = build.claim(database)
    with database.write() as session:
        assert jobs.request_cancel(session, project, job.id).status == "cancelling"
    with database.write() as session:
        assert jobs.request_cancel(session, project, job.id).status == "cancelling"  # again: same
        assert leases.heartbeat(session, claim, 60.0) == "cancel"
        assert leases.stop_cancelled(session, claim).status == "cancelled"
    with database.read() as session:
        moves = [row.to_status for row in jobs.list_transitions(session, project, job.id)]
    assert moves[-2:] == ["cancelling", "cancelled"]


def test_cancelling_a_job_whose_lease_ran_out_does_not_wait(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    build.age(database, job.id)
    with database.write() as session:
        assert jobs.request_cancel(session, project, job.id).status == "cancelled"
    with database.write() as session, pytest.raises(leases.LeaseLost):
        leases.heartbeat(session, claim, 60.0)


def _end(database: Database, project: str, job_id: str, status: str) -> None:
    if status == "cancelled":
        with database.write() as session:
            jobs.request_cancel(session, project, job_id)
        return
    claim = build.claim(database)
    with database.write() as session:
        if status == "succeeded":
            publishing.publish(session, claim, build.results(claim), max_attempts=3)
        else:
            leases.fail(session, claim, "invalid_spec", "no", max_attempts=3)
