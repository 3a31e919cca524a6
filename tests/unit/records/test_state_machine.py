"""The job's state machine under whatever order of things: owners, workers that live, die, come back
as if nothing had happened, and sweepers, on both databases.

The rules do what may happen at any moment; the invariants are what may never be otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core.errors import Conflict
from core.jobs.checkpoint import StoredPart
from core.jobs.messages import Checkpoint, DatasetChecked, Event
from core.records import events, jobs, leases, models, publishing, states, stopping
from core.records.engine import Database, Session
from core.records.leases import Claim, LeaseLost
from core.records.tables import Job, OutboxRow
from tests import service_builders as build

MOST = 3  # failures
LEASE = 60.0


class Life(RuleBasedStateMachine):
    """Several jobs and workers. `database` is set by the test."""

    database: Database
    made = Bundle("made")  # jobs' ids
    claims = Bundle("claims")  # of workers, who may have lost them without knowing

    def __init__(self) -> None:
        super().__init__()
        self.project = build.project(self.database, f"p{id(self)}")
        self.jobs: list[str] = []
        self.retried: dict[str, int] = {}
        self.workers = 0

    @rule(target=made, checked=st.booleans())
    def create(self, checked: bool) -> str:
        job = build.job(self.database, self.project, checked=checked)
        self.jobs.append(job.id)
        return job.id

    @rule(target=claims)
    def claim(self) -> Any:
        self.workers += 1
        with self.database.write() as session:
            found = leases.claim(session, f"worker-{self.workers}", f"boot-{self.workers}", LEASE)
        return multiple() if found is None else found

    @rule(claim=claims)
    def heartbeat(self, claim: Claim) -> None:
        self.as_worker(claim, lambda session: leases.heartbeat(session, claim, LEASE))

    @rule(claim=claims, step=st.integers(1, 9))
    def report(self, claim: Claim, step: int) -> None:
        said: list[Any] = [Event(message=f"step {step}")]
        if claim.duty == "train":
            key = f"jobs/{claim.job_id}/attempts/{claim.attempt}/checkpoints/{step}"
            part = StoredPart(object_key=key, sha256="aa", size=1)
            said.append(Checkpoint(run=0, step=step, parts={"0.state": part}))
        self.as_worker(claim, lambda session: leases.relay(session, claim, said))

    @rule(claim=claims)
    def succeed(self, claim: Claim) -> None:
        if claim.duty == "check":
            version = claim.spec.datasets[0]
            self.as_worker(claim, lambda session: self._pass_check(session, claim, version.version))
        elif claim.duty == "train":
            made = build.results(claim)
            self.as_worker(
                claim,
                lambda session: publishing.publish(session, claim, made, max_attempts=MOST),
            )
        else:
            self.as_worker(
                claim,
                lambda session: publishing.publish_kept(session, claim, [], max_attempts=MOST),
            )

    @rule(claim=claims, reason=st.sampled_from(["worker_lost", "internal", "loss_not_finite"]))
    def fail(self, claim: Claim, reason: str) -> None:
        self.as_worker(
            claim,
            lambda session: leases.fail(session, claim, reason, "it failed", max_attempts=MOST),
        )

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        self.as_worker(claim, lambda session: leases.give_back(session, claim))

    @rule(job=made)
    def time_passes(self, job: str) -> None:
        """Its lease runs out, and so does its pause after a failure."""
        build.age(self.database, job)

    @rule()
    def sweep(self) -> None:
        with self.database.write() as session:
            leases.reap(session, max_attempts=MOST)

    @rule(job=made)
    def pause(self, job: str) -> None:
        self.as_owner(lambda session: stopping.request_pause(session, self.project, job))

    @rule(job=made)
    def resume(self, job: str) -> None:
        self.as_owner(lambda session: stopping.resume(session, self.project, job))

    @rule(job=made, keep=st.booleans())
    def cancel(self, job: str, keep: bool) -> None:
        self.as_owner(lambda session: jobs.request_cancel(session, self.project, job, keep=keep))

    @rule(job=made)
    def retry(self, job: str) -> None:
        before = self.read(job).status
        self.as_owner(lambda session: stopping.retry(session, self.project, job))
        if before == "failed" and self.read(job).status == "queued":
            self.retried[job] = self.retried.get(job, 0) + 1

    def as_owner(self, do: Callable[[Session], object]) -> None:
        """What is refused changes nothing."""
        before = self.snapshot()
        try:
            with self.database.write() as session:
                do(session)
        except Conflict:
            assert self.snapshot() == before

    def as_worker(self, claim: Claim, do: Callable[[Session], object]) -> None:
        """Whoever has lost the lease writes nothing, whatever it believes."""
        before = self.snapshot()
        holds = self.read(claim.job_id).lease_token == claim.token
        try:
            with self.database.write() as session:
                do(session)
        except LeaseLost:
            assert not holds
            assert self.snapshot() == before
        else:
            assert holds

    @invariant()
    def every_change_was_legal_and_follows_the_one_before(self) -> None:
        for job_id in self.jobs:
            with self.database.read() as session:
                moves = jobs.list_transitions(session, self.project, job_id)
            assert moves[0].from_status is None
            for before, after in itertools.pairwise(moves):
                assert after.from_status == before.to_status
                assert states.is_legal(before.to_status, after.to_status)
                assert after.attempt >= before.attempt
            assert moves[-1].to_status == self.read(job_id).status
            ends = [move for move in moves if move.to_status in states.ENDED]
            ended = self.read(job_id).status in states.ENDED
            assert len(ends) == self.retried.get(job_id, 0) + ended

    @invariant()
    def events_have_no_gap(self) -> None:
        for job_id in self.jobs:
            with self.database.read() as session:
                page = events.list_events(session, self.project, job_id, order="asc", limit=1000)
            assert [row.sequence for row in page.items] == list(range(1, len(page.items) + 1))

    @invariant()
    def a_lease_is_whole_and_of_a_job_that_goes_on(self) -> None:
        for job_id in self.jobs:
            job = self.read(job_id)
            lease = (job.lease_token, job.lease_owner, job.lease_boot_id, job.lease_expires_at)
            assert len({value is None for value in lease}) == 1
            if job.lease_token is not None:
                assert job.status in ("validating_files", "running", "cancelling")
            if job.status == "running":
                assert job.lease_token is not None
            assert (job.finished_at is not None) == (job.status in states.ENDED)
            assert job.failures <= MOST

    @invariant()
    def whoever_waits_for_a_worker_has_a_bell(self) -> None:
        with self.database.read() as session:
            for job_id in self.jobs:
                job = self.read(job_id)
                waits = job.lease_token is None and (
                    job.status in states.WAITING
                    or (job.status == "cancelling" and job.stop_for == "keep")
                )
                assert (session.get(OutboxRow, job_id) is not None) == waits, job.status

    @invariant()
    def models_are_there_when_a_job_has_succeeded_and_only_then(self) -> None:
        for job_id in self.jobs:
            with self.database.read() as session:
                made = models.of_job(session, self.project, job_id)
            assert len(made) == (3 if self.read(job_id).status == "succeeded" else 0)

    def read(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, self.project, job_id)

    def snapshot(self) -> list[dict[str, Any]]:
        rows = [self.read(job_id) for job_id in self.jobs]
        return [
            {name: value for name, value in vars(row).items() if name[0] != "_"} for row in rows
        ]

    def _pass_check(self, session: Session, claim: Claim, version: str) -> None:
        said = [DatasetChecked(version=version, index_key="index", summary={})]
        leases.pass_check(session, claim, said, max_attempts=MOST)

    def teardown(self) -> None:
        """The next example must not claim this one's jobs."""
        for job_id in self.jobs:
            build.age(self.database, job_id)
        with self.database.write() as session:
            leases.reap(session, max_attempts=1)
            for job_id in self.jobs:
                if jobs.get(session, self.project, job_id).status not in states.ENDED:
                    jobs.request_cancel(session, self.project, job_id)


@pytest.mark.slow
def test_whatever_happens(database: Database) -> None:
    class Here(Life):
        pass

    Here.database = database
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
