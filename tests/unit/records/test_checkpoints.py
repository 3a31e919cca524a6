"""What a job can go on from: the last two checkpoints, and nothing once it needs none."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.jobs.checkpoint import StoredPart
from core.jobs.messages import Checkpoint, CheckpointRefused, Environment, Message, Metrics
from core.objects import ObjectStore
from core.records import checkpoints, events, garbage, jobs, leases, metrics, publishing, results
from core.records.engine import Database
from core.records.leases import Claim
from core.records.tables import Job
from core.settings import Settings
from tests import service_builders as build
from tests.service_builders import MOST
from worker.sweeper import Sweeper

HERE: dict[str, str | int] = {"torch": "2.15", "threads": 2}


def part(claim: Claim, name: str) -> StoredPart:
    key = f"jobs/{claim.job_id}/attempts/{claim.attempt}/checkpoints/{name}"
    return StoredPart(object_key=key, sha256=name, size=3)


def checkpoint(claim: Claim, step: int, **parts: StoredPart) -> Checkpoint:
    own = {"0.state": part(claim, f"state-{step}")}
    return Checkpoint(run=0, step=step, parts=own | {f"0.{n}": p for n, p in parts.items()})


def relay(database: Database, claim: Claim, *messages: Message) -> None:
    with database.write() as session:
        leases.relay(session, claim, messages)


def steps(database: Database, job: Job | Claim) -> list[int]:
    job_id = job.id if isinstance(job, Job) else job.job_id
    with database.read() as session:
        return [found.step for found in checkpoints.usable(session, job_id)]


def stored_values(database: Database, job: Job) -> list[float | None]:
    with database.read() as session:
        return [row.value for row in results.list_metrics(session, job.project_id, job.id)]


def warnings(database: Database, job: Job) -> list[str]:
    with database.read() as session:
        page = events.list_events(session, job.project_id, job.id, limit=1000)
    return [row.message for row in page.items if row.level == "warn"]


@pytest.fixture
def job(database: Database) -> Job:
    return build.job(database, build.project(database))


def test_the_last_two_are_kept_and_handed_over_newest_first(database: Database, job: Job) -> None:
    claim = build.claim(database)
    assert claim.checkpoints == ()
    relay(database, claim, checkpoint(claim, 10), checkpoint(claim, 20))
    relay(database, claim, checkpoint(claim, 30))
    assert steps(database, job) == [30, 20]
    with database.write() as session:
        leases.give_back(session, claim)
    again = build.claim(database)
    assert [(found.number, found.step) for found in again.checkpoints] == [(3, 30), (2, 20)]
    assert again.checkpoints[0].parts == {"0.state": part(claim, "state-30")}


def test_a_refused_one_is_not_handed_over_again(database: Database, job: Job) -> None:
    claim = build.claim(database)
    relay(database, claim, checkpoint(claim, 10), checkpoint(claim, 20))
    relay(database, claim, CheckpointRefused(number=2))
    assert steps(database, job) == [10]
    relay(database, claim, checkpoint(claim, 15))
    assert steps(database, job) == [15, 10]


def test_an_object_of_another_job_is_not_taken(database: Database, job: Job) -> None:
    claim = build.claim(database)
    foreign = StoredPart(object_key="jobs/another/attempts/1/x", sha256="x", size=1)
    with pytest.raises(ValueError, match="jobs/another"):
        relay(database, claim, checkpoint(claim, 10, best=foreign))
    assert steps(database, job) == []


def test_a_job_that_ended_needs_none_unless_it_failed(database: Database, job: Job) -> None:
    other = build.job(database, job.project_id)
    claims = [build.claim(database), build.claim(database)]
    for claim in claims:
        relay(database, claim, checkpoint(claim, 10))
    with database.write() as session:
        publishing.publish(session, claims[0], build.results(claims[0]), max_attempts=MOST)
        leases.fail(session, claims[1], "internal", "no", max_attempts=1)
    assert steps(database, job) == []
    assert steps(database, other) == [10]


def test_only_the_sweeper_deletes_and_only_what_no_other_checkpoint_shares(
    database: Database, job: Job, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    store = ObjectStore.from_settings(settings)
    claim = build.claim(database)
    best = part(claim, "best-10")
    for step in (10, 20, 30):
        relay(database, claim, checkpoint(claim, step, best=best))
    keys = {step: part(claim, f"state-{step}").object_key for step in (10, 20, 30)}
    for key in (*keys.values(), best.object_key):
        store.put_bytes(key, b"abc")
    sweeper = Sweeper(database, store, settings, wake=lambda: None)
    sweeper.sweep()
    assert [step for step, key in keys.items() if store.exists(key)] == [20, 30]
    assert store.exists(best.object_key)
    with database.write() as session:
        leases.fail(session, claim, "internal", "no", max_attempts=1)
    build.age(database, job.id, 6 * 86400)
    sweeper.sweep()
    assert store.exists(keys[30])  # it may be retried for a week
    build.age(database, job.id, 2 * 86400)
    sweeper.sweep()
    assert list(store.list(f"jobs/{job.id}")) == []
    with database.read() as session:
        assert checkpoints.all_keys(session, job.id) == set()


def test_a_purge_leaves_alone_what_a_retry_uploads(
    database: Database, job: Job, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    store = ObjectStore.from_settings(settings)
    claim = build.claim(database)
    relay(database, claim, checkpoint(claim, 10))
    own, orphan = part(claim, "state-10").object_key, part(claim, "orphan").object_key
    later = f"jobs/{job.id}/attempts/2/model.tar"
    for key in (own, orphan, later):
        store.put_bytes(key, b"abc")
    with database.write() as session:
        leases.fail(session, claim, "internal", "no", max_attempts=1)
    build.age(database, job.id, 4000)
    Sweeper(database, store, settings, wake=lambda: None).sweep()
    assert store.exists(own)
    assert not store.exists(orphan)
    assert store.exists(later)
    with database.read() as session:
        assert garbage.named_keys(session, job.id) == {own}


# Metrics of steps that are done again.


def values(step: int, **named: float) -> Metrics:
    return Metrics(seed=0, step=step, values=named)


def test_a_step_done_again_inserts_nothing(database: Database, job: Job) -> None:
    claim = build.claim(database)
    third = 1 / 3
    relay(database, claim, values(0, loss=third), values(1, loss=float("nan")))
    relay(database, claim, values(0, loss=third), values(1, loss=float("inf"), new=2.0))
    assert stored_values(database, job) == [third, None, 2.0]


def test_a_step_that_comes_out_otherwise_writes_nothing_at_all(
    database: Database, job: Job
) -> None:
    claim = build.claim(database)
    relay(database, claim, values(7, loss=0.1))
    with pytest.raises(metrics.Differs, match=r"Step 7 \(seed 0\).*0\.30000000000000004.*0\.1"):
        relay(database, claim, values(8, loss=1.0), values(7, loss=0.1 + 0.2), checkpoint(claim, 8))
    assert stored_values(database, job) == [0.1]
    assert steps(database, job) == []
    with pytest.raises(metrics.Differs, match="Step 9"):
        relay(database, claim, values(9, loss=1.0), values(9, loss=2.0))


def test_where_nothing_repeats_itself_the_later_value_counts(database: Database, job: Job) -> None:
    claim = build.claim(database)
    relay(database, claim, Environment(facts=HERE, repeatable=False), values(0, loss=1.0))
    relay(database, claim, values(0, loss=2.0))
    assert stored_values(database, job) == [2.0]
    assert warnings(database, job) == []


def test_an_attempt_that_ran_out_of_memory_compares_nothing_from_there_on(
    database: Database, job: Job
) -> None:
    """Nor does the next, which may have memory enough and then rounds as no attempt before it."""
    claim = build.claim(database)
    begins = Environment(facts=HERE, repeatable=True)
    relay(database, claim, begins, values(0, loss=1.0))
    relay(database, claim, Environment(facts=HERE, repeatable=False), values(1, loss=1.0))
    relay(database, claim, begins, values(1, loss=2.0))
    assert stored_values(database, job) == [1.0, 2.0]
    assert warnings(database, job) == []  # its own event says it better


def test_another_environment_is_told_and_ends_the_comparison(database: Database, job: Job) -> None:
    claim = build.claim(database)
    relay(database, claim, Environment(facts=HERE, repeatable=True), values(0, loss=1.0))
    relay(database, claim, Environment(facts=HERE, repeatable=True))
    assert warnings(database, job) == []
    with pytest.raises(metrics.Differs):
        relay(database, claim, values(0, loss=2.0))
    elsewhere = {**HERE, "threads": 4}
    relay(database, claim, Environment(facts=elsewhere, repeatable=True), values(0, loss=2.0))
    (warning,) = warnings(database, job)
    assert "threads 4 instead of 2" in warning
    assert stored_values(database, job) == [2.0]
    # Back home, what is stored is still a mixture.
    relay(database, claim, Environment(facts=HERE, repeatable=True), values(0, loss=3.0))
    assert stored_values(database, job) == [3.0]
    assert len(warnings(database, job)) == 2


def test_a_stale_claim_can_store_no_checkpoint(database: Database, job: Job) -> None:
    stale = build.claim(database)
    build.age(database, job.id)
    with database.write() as session:
        leases.reap(session, max_attempts=MOST)
    build.age(database, job.id)
    build.claim(database, "another")
    with pytest.raises(leases.LeaseLost):
        relay(database, stale, checkpoint(stale, 10))
    assert steps(database, job) == []
    with database.read() as session:
        assert jobs.get(session, job.project_id, job.id).attempt == 2
