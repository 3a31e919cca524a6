"""The supervisor's decisions, with real trainers and a real database; only its clock is ours."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from core.records import (
    checkpoints,
    jobs,
    leases,
    models,
    results,
    stopping,
    workers,
)
from tests import service_builders as build
from tests.unit.worker.worlds import GRACE, LEASE, STALL, World
from worker.attempt import Attempt


def test_a_job_runs_and_is_published(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path)
    job = world.job(["work", "work"])
    world.drive(lambda: world.read(job).status == "succeeded")
    done = world.read(job)
    assert (done.step, done.total_steps, done.progress, done.attempt) == (2, 2, 1.0, 1)
    with world.database.read() as session:
        assert len(models.of_job(session, world.project, job.id)) == 1
        assert len(results.list_split_results(session, world.project, job.id)) == 1
        assert len(results.list_metrics(session, world.project, job.id)) == 2
    assert world.supervisor.attempts == []
    world.close()


def test_an_unchecked_dataset_is_checked_and_then_trained_on(world: World) -> None:
    job = build.job(world.database, world.project, checked=False)
    world.drive(lambda: world.read(job).status == "succeeded")
    with world.database.read() as session:
        moves = [row.to_status for row in jobs.list_transitions(session, world.project, job.id)]
    assert moves == ["validating_files", "queued", "running", "succeeded"]


def test_as_many_jobs_run_as_there_are_slots(world: World) -> None:
    first, second, third = (world.job(["sleep"]) for _ in range(3))
    world.start(second)
    assert [item.claim.job_id for item in world.supervisor.attempts] == [first.id, second.id]
    assert world.read(third).status == "queued"
    assert world.read(first).lease_owner == "worker"


def test_how_fast_a_trainer_is_stays_with_its_worker(world: World) -> None:
    job = world.job(["work", "sleep"])
    attempt = world.start(job)
    world.drive(lambda: attempt.speed is not None)
    assert attempt.speed is not None
    assert (attempt.speed.step_seconds, attempt.speed.images_per_second) == (0.25, 8.0)
    world.ask(jobs.request_cancel, job)
    world.drive(lambda: attempt.is_over)
    assert attempt.failure is None


def test_each_slot_has_gpus_of_its_own(world: World) -> None:
    def sees(attempt: Attempt) -> str:
        environment = Path(f"/proc/{attempt.process.pid}/environ").read_text().split("\0")
        return dict(pair.split("=", 1) for pair in environment if pair)["CUDA_VISIBLE_DEVICES"]

    first, second = world.job(["sleep"]), world.job(["sleep"])
    assert sees(world.start(first)) == "0,1"
    assert sees(world.start(second)) == "GPU-7"
    world.ask(jobs.request_cancel, first)
    third = world.job(["sleep"])
    assert sees(world.start(third)) == "0,1"


def test_a_worker_says_that_it_runs_and_takes_what_it_is_fit_for(
    sqlite_url: str, tmp_path: Path
) -> None:
    world = World(sqlite_url, tmp_path)

    def seen() -> dict[str, float]:
        with world.database.read() as session:
            return {row.labels: row.seen_at for row in workers.live(session, 60.0)}

    large, small = (
        build.job(world.database, world.project, asked={"requires": [wish]})
        for wish in ("gpu-mem>=40g", "gpu-mem>=16g")
    )
    world.drive(lambda: world.read(small).status == "succeeded")
    assert world.read(large).status == "queued"
    before = seen()
    assert list(before) == ["gpu-mem=24g"]
    world.pass_time(LEASE / 3)
    assert seen()["gpu-mem=24g"] > before["gpu-mem=24g"]
    world.supervisor.stop()
    world.supervisor.run()
    assert seen() == {}
    world.database.close()


@pytest.mark.parametrize(
    ("step", "reason", "words"),
    [
        ("exit", "worker_lost", "it exited with code 3"),
        ("die", "worker_lost", "SIGKILL ended it, which is mostly the system running out"),
        ("garbage", "internal", "no message"),
    ],
)
def test_a_trainer_that_dies_is_tried_again_and_then_given_up(
    world: World, step: str, reason: str, words: str
) -> None:
    job = world.job([step])
    world.drive(lambda: world.read(job).failures == 1)
    waiting = world.read(job)
    assert (waiting.status, waiting.lease_token) == ("queued", None)
    assert any(words in message for message in world.messages(job))
    build.age(world.database, job.id)
    world.pass_time(world.settings.poll_seconds)
    world.drive(lambda: world.read(job).status == "failed")
    failed = world.read(job)
    assert (failed.status_reason, failed.attempt, failed.failures) == (reason, 2, 2)


def test_a_failure_the_user_caused_is_told_to_the_user(world: World) -> None:
    job = world.job(["fail"])
    world.drive(lambda: world.read(job).status == "failed")
    failed = world.read(job)
    assert (failed.status_reason, failed.error_message, failed.error_param) == (
        "invalid_spec",
        "it was told to",
        "model",
    )
    assert failed.attempt == 1


def test_a_trainer_that_does_not_get_on_is_stopped(world: World) -> None:
    job = world.job(["work", "sleep"])
    attempt = world.start(job)
    world.drive(lambda: world.read(job).progress == 0.5)
    for _ in range(int(STALL / 20)):  # the heart beats on: that alone is no progress
        world.pass_time(20.0)
        assert not attempt.is_over
        if attempt.process.has_exited():
            break
    world.drive(lambda: attempt.is_over)
    assert any("made no progress for 500 s" in message for message in world.messages(job))
    assert world.read(job).status_reason == "timeout"


def test_a_trainer_that_ignores_sigterm_is_killed_after_the_grace(world: World) -> None:
    job = world.job(["stubborn"])
    attempt = world.start(job, "stubborn")
    world.ask(stopping.request_pause, job)
    assert world.read(job).status == "running"
    world.pass_time(GRACE - 1)
    assert not attempt.process.has_exited()
    world.pass_time(1.0)
    world.drive(lambda: attempt.is_over)
    assert world.read(job).status == "paused"


def test_a_cancelled_job_is_not_waited_for(world: World) -> None:
    job = world.job(["stubborn"])
    attempt = world.start(job, "stubborn")
    world.ask(jobs.request_cancel, job)
    world.drive(lambda: attempt.is_over)
    cancelled = world.read(job)
    assert (cancelled.status, cancelled.status_reason) == ("cancelled", "user_cancelled")


def test_a_paused_job_goes_on_from_what_its_trainer_saved(world: World) -> None:
    job = world.job(["work", "work", "patient"], ["work", "work", "work"])
    world.start(job, "patient")
    world.ask(stopping.request_pause, job)
    world.drive(lambda: world.read(job).status == "paused")
    paused = world.read(job)
    assert (paused.lease_token, paused.stop_for, paused.failures) == (None, None, 0)
    world.pass_time(world.settings.poll_seconds)
    assert world.supervisor.attempts == []  # nobody takes it
    world.ask(stopping.resume, job)
    world.drive(lambda: world.read(job).status == "succeeded")
    assert "handed [3]" in world.messages(job)
    with world.database.read() as session:
        moves = [row.to_status for row in jobs.list_transitions(session, world.project, job.id)]
    assert moves == ["queued", "running", "paused", "queued", "running", "succeeded"]


def test_a_pause_taken_back_in_time_only_costs_a_start(world: World) -> None:
    job = world.job(["patient"], ["work"])
    attempt = world.start(job, "patient")
    world.ask(stopping.request_pause, job)
    with world.database.write() as session:
        assert stopping.resume(session, world.project, job.id).stop_for is None
    world.drive(lambda: attempt.is_over)
    world.drive(lambda: world.read(job).status == "succeeded")
    assert world.read(job).attempt == 2


def test_a_cancelled_job_is_kept_by_a_trainer_of_its_own(world: World) -> None:
    job = world.job(["work", "patient"])
    world.start(job, "patient")
    world.ask(partial(jobs.request_cancel, keep=True), job)
    world.drive(lambda: world.read(job).status == "cancelled")
    with world.database.read() as session:
        (kept,) = models.of_job(session, world.project, job.id)
        states = [row.to_status for row in jobs.list_transitions(session, world.project, job.id)]
    assert (kept.kind, kept.step) == ("checkpoint", 2)
    assert kept.id == f"ft:tiny::{job.id.removeprefix('ftjob-')}:step-2"
    assert kept.object_key.startswith(f"jobs/{job.id}/attempts/2/")
    assert states == ["queued", "running", "cancelling", "cancelled"]
    assert f"Kept as {kept.id}." in world.messages(job)


def test_a_step_done_again_that_differs_ends_the_job(world: World) -> None:
    job = world.job(["work", "differ"])
    world.drive(lambda: world.read(job).status == "failed")
    failed = world.read(job)
    assert (failed.status_reason, failed.attempt, failed.failures) == ("internal", 1, 1)
    assert failed.error_message is not None
    assert "Step 1 (seed 0) was done again and its loss is 77.0, where it was 1.0" in (
        failed.error_message
    )


def test_a_stopping_worker_has_its_trainers_save_first(world: World) -> None:
    job = world.job(["work", "patient"], ["work"])
    world.start(job, "patient")
    world.supervisor.stop()
    world.drive(lambda: world.supervisor.is_done)
    waiting = world.read(job)
    assert (waiting.status, waiting.failures, waiting.lease_token) == ("queued", 0, None)
    with world.database.read() as session:
        assert [found.step for found in checkpoints.usable(session, job.id)] == [2]


def test_a_trainer_that_somebody_else_stopped_is_no_failure(world: World) -> None:
    job = world.job(["patient"], ["work"])
    attempt = world.start(job, "patient")
    os.kill(attempt.process.pid, signal.SIGTERM)  # a service manager, to every process it knows
    world.drive(lambda: world.read(job).status == "succeeded")
    assert world.read(job).failures == 0


def test_a_lost_lease_kills_the_trainer_and_writes_nothing(world: World) -> None:
    job = world.job(["work", "sleep"])
    attempt = world.start(job)
    build.age(world.database, job.id)
    with world.database.write() as session:
        leases.reap(session, max_attempts=2)
    build.age(world.database, job.id)
    with world.database.write() as session:
        assert leases.claim(session, "another", "boot", LEASE) is not None
    before = (vars(world.read(job)), world.messages(job))
    world.pass_time(LEASE / 3)
    assert attempt.is_over
    assert attempt.outcome is None
    assert _is_gone(attempt.process.pid)
    world.drive(lambda: world.supervisor.attempts == [])
    after = (vars(world.read(job)), world.messages(job))
    assert _columns(after[0]) == _columns(before[0])
    assert after[1] == before[1]


def test_a_database_that_comes_back_in_time_loses_nothing(world: World) -> None:
    job = world.job(["work", "spin"])
    attempt = world.start(job)
    world.database.away = True
    for _ in range(5):
        world.pass_time(LEASE / 6)
        assert not attempt.is_over
    world.database.away = False
    world.drive(lambda: world.read(job).step > 5)
    assert world.read(job).status == "running"


def test_a_database_away_for_a_whole_lease_fences_the_worker(world: World) -> None:
    job = world.job(["work", "sleep"])
    attempt = world.start(job)
    world.database.away = True
    for _ in range(6):
        world.pass_time(LEASE / 6)
    assert attempt.is_over
    assert _is_gone(attempt.process.pid)
    world.database.away = False
    assert world.read(job).status == "running"  # until the sweeper reaps it
    assert world.read(job).failures == 0


def test_a_result_that_is_complete_survives_a_long_outage(world: World) -> None:
    job = world.job(["work"])
    world.drive(lambda: bool(world.supervisor.attempts))
    world.database.away = True
    attempt = world.supervisor.attempts[0]
    world.drive(lambda: attempt.process.exit_code is not None)
    world.pass_time(10 * LEASE)
    assert not attempt.is_over
    world.database.away = False
    world.pass_time(2.0)
    world.drive(lambda: world.read(job).status == "succeeded")


def test_a_stopping_worker_gives_back_what_it_holds(world: World) -> None:
    sleeping, waiting = world.job(["sleep"]), world.job(["sleep"])
    attempt = world.start(sleeping)
    world.start(waiting)
    world.supervisor.stop()
    world.drive(lambda: world.supervisor.is_done)
    assert world.supervisor.attempts == []
    assert _is_gone(attempt.process.pid)
    for job in (sleeping, waiting):
        found = world.read(job)
        assert (found.status, found.failures, found.lease_token) == ("queued", 0, None)


def test_a_trainer_that_cannot_start_counts_as_a_failure(sqlite_url: str, tmp_path: Path) -> None:
    world = World(sqlite_url, tmp_path, ("/no/such/program",))
    job = world.job(["work"])
    world.supervisor.step(longest=0.0)
    assert world.read(job).failures == 1
    assert any("could not start a trainer" in message for message in world.messages(job))
    world.close()


def test_reports_no_database_takes_fail_the_job(world: World) -> None:
    """A step beyond 64 bits: refused by PostgreSQL and by SQLite's driver alike."""
    job = world.job(["overflow"])
    world.drive(lambda: world.read(job).failures == 1)
    assert any("could not write" in message for message in world.messages(job))


def test_a_trainer_is_told_no_database(world: World) -> None:
    job = world.job(["sleep"])
    attempt = world.start(job)
    environment = Path(f"/proc/{attempt.process.pid}/environ").read_bytes().decode()
    assert "LIPSUM_DATA_DIR=" in environment
    assert "LIPSUM_DATABASE_URL" not in environment
    assert "OMP_NUM_THREADS=" in environment


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _columns(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if not name.startswith("_")}
