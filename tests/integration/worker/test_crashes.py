"""kill -9 of each process in turn: the job finishes once, and nobody is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import doorbell
from core.objects import ObjectStore
from core.records import files, jobs, models, results
from core.records.engine import Database
from core.records.tables import Job
from core.settings import Settings
from tests import service_builders as build
from tests.integration.worker.workers import (
    PATIENCE,
    Worker,
    is_running,
    kill,
    make_settings,
    read_events,
    running,
    wait_for,
    wait_for_status,
    wait_for_trainer,
)
from tests.services import Overrides

SLEEP_THEN_WORK = [["work", "sleep"], ["work", "work"]]


@pytest.fixture
def settings(tmp_path: Path, of_database: Overrides) -> Settings:
    """Polls often; the lease is far longer than the test, so no test waits for one to run out."""
    return make_settings(tmp_path, of_database, poll_seconds=0.1, lease_seconds=60.0)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    found = Database(settings.resolved_database_url)
    yield found
    found.close()


def test_kill_the_trainer(settings: Settings, database: Database, tmp_path: Path) -> None:
    job = _job(database, [["work", "child", "sleep"], ["work", "work"]])
    with running(settings, tmp_path) as worker:
        trainer = wait_for_trainer(database, job)
        child = _child(database, job)
        kill(trainer)
        wait_for(lambda: True if not is_running(child) else None)  # its group goes with it
        _finished_once(database, settings, job, attempt=2)
        assert worker.stop() == 0
    told = [event for event in read_events(database, job) if event.level == "warn"]
    assert "SIGKILL ended it" in told[0].message
    assert (told[0].data or {})["log"] == ["doing work", "doing child", "doing sleep"]


def test_kill_the_supervisor(settings: Settings, database: Database, tmp_path: Path) -> None:
    job = _job(database, SLEEP_THEN_WORK)
    with running(settings, tmp_path) as worker:
        trainer, consumer = wait_for_trainer(database, job), worker.consumer_pid()
        kill(worker.pid)
        worker.process.wait(PATIENCE)
        wait_for(lambda: True if not is_running(trainer) and not is_running(consumer) else None)
        assert build.read(database, job).status == "running"  # its lease is alive for a minute
    with running(settings, tmp_path, "restarted") as worker:
        _finished_once(database, settings, job, attempt=2)
        assert worker.stop() == 0


def test_kill_the_consumer(settings: Settings, database: Database, tmp_path: Path) -> None:
    deaf = settings.model_copy(update={"poll_seconds": 3600.0})
    with running(deaf, tmp_path) as worker:
        worker.wait_until_ready()
        consumer = worker.consumer_pid()
        kill(consumer)
        wait_for(lambda: worker.consumer_pid() if worker.consumer_pid() != consumer else None)
        job = _job(database, [["work"]])
        doorbell.ring(deaf)
        _finished_once(database, deaf, job, attempt=1)
        assert worker.stop() == 0


def test_a_stopping_worker_gives_its_job_back(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    job = _job(database, [["stubborn"], ["work"]])
    with running(settings, tmp_path) as worker:
        trainer = wait_for_trainer(database, job)
        wait_for(lambda: True if "stubborn" in _messages(database, job) else None)
        assert worker.stop() == 0
        assert not is_running(trainer)
    given_back = build.read(database, job)
    assert (given_back.status, given_back.failures) == ("queued", 0)
    with running(settings, tmp_path, "next") as worker:
        _finished_once(database, settings, job, attempt=2)
        assert worker.stop() == 0


def test_cancel_a_running_job(settings: Settings, database: Database, tmp_path: Path) -> None:
    job = _job(database, [["spin"]])
    with running(settings, tmp_path) as worker:
        trainer = wait_for_trainer(database, job)
        with database.write() as session:
            assert jobs.request_cancel(session, job.project_id, job.id).status == "cancelling"
        cancelled = wait_for_status(database, job, "cancelled")
        assert cancelled.status_reason == "user_cancelled"
        assert not is_running(trainer)
        assert worker.stop() == 0


def test_a_trainer_that_waits_comes_and_goes_with_its_worker(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with running(settings, tmp_path) as worker:
        killed = worker.wait_for_log("trainer waits")
        kill(killed)
        job = _job(database, [["work"]])
        _finished_once(database, settings, job, attempt=1)
        waiting = wait_for(lambda: _another(worker, killed))
        assert worker.stop() == 0
        assert not is_running(waiting)
    with running(settings, tmp_path, "next") as worker:
        waiting = worker.wait_for_log("trainer waits")
        kill(worker.pid)
        worker.process.wait(PATIENCE)
        wait_for(lambda: True if not is_running(waiting) else None)


def _job(database: Database, scripts: list[list[str]]) -> Job:
    return build.job(database, build.project(database), hyperparameters={"scripts": scripts})


def _another(worker: Worker, than: int) -> int | None:
    """The trainer that waits in place of another."""
    found = worker.wait_for_log("trainer waits")
    return found if found != than and is_running(found) else None


def _child(database: Database, job: Job) -> int:
    def find() -> int | None:
        for event in read_events(database, job):
            if event.message == "child":
                return int((event.data or {})["pid"])
        return None

    return wait_for(find)


def _messages(database: Database, job: Job) -> list[str]:
    return [event.message for event in read_events(database, job)]


def _finished_once(database: Database, settings: Settings, job: Job, attempt: int) -> None:
    """Succeeded, with one set of results, all of this attempt, and objects that are there."""
    done = wait_for_status(database, job, "succeeded", "failed", "cancelled")
    assert (done.status, done.attempt) == ("succeeded", attempt)
    with database.read() as session:
        made = models.of_job(session, job.project_id, job.id)
        table = results.list_split_results(session, job.project_id, job.id)
        reports = files.result_files(session, job.project_id, [job.id])[job.id]
        moves = [row.to_status for row in jobs.list_transitions(session, job.project_id, job.id)]
    assert [model.id for model in made] == [done.fine_tuned_model]
    assert [row.metric for row in table] == ["accuracy"]
    assert [report.filename for report in reports] == ["report.md"]
    assert moves.count("succeeded") == 1
    store = ObjectStore.from_settings(settings)
    for key in (made[0].object_key, reports[0].object_key):
        assert key.startswith(f"jobs/{job.id}/attempts/{attempt}/")
        assert store.exists(key)
    sequences = [event.sequence for event in read_events(database, job)]
    assert sequences == list(range(1, len(sequences) + 1))
