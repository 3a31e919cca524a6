"""What a trainer printed can be read although its worker, and the worker's disk, are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.records.engine import Database
from tests import service_builders as build
from tests.integration.worker.workers import (
    kill,
    make_settings,
    running,
    wait_for,
    wait_for_status,
)
from tests.services import Overrides


def test_a_log_outlives_its_worker(tmp_path: Path, of_database: Overrides) -> None:
    settings = make_settings(tmp_path, of_database, poll_seconds=0.2)
    database = Database(settings.resolved_database_url)
    scripts = [["work", "sleep"], ["work", "work"]]
    job = build.job(database, build.project(database), hyperparameters={"scripts": scripts})

    with running(settings, tmp_path) as worker:
        wait_for(lambda: "doing sleep" in build.log(database, job.id).decode() or None)
        kill(worker.pid)
        worker.process.wait()
    shutil.rmtree(settings.cache_directory)
    assert build.log(database, job.id).decode().splitlines()[1:] == ["doing work", "doing sleep"]
    with running(settings, tmp_path, "second") as worker:
        wait_for_status(database, job, "succeeded")
        assert worker.stop() == 0
    lines = build.log(database, job.id).decode().splitlines()
    assert [line.split(",")[0] for line in lines if line.startswith("---")] == [
        "--- attempt 1",
        "--- attempt 2",
    ]
    assert lines[-2:] == ["doing work", "doing work"]
    database.close()
