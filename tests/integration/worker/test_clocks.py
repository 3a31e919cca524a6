"""Workers whose clocks are wrong by an hour: only the database's clock says who holds a job."""

from __future__ import annotations

from pathlib import Path

from core.records.clock import read_clock
from core.records.engine import Database
from tests import service_builders as build
from tests.chaos.clocks import Clock
from tests.integration.worker.workers import (
    kill,
    make_settings,
    running,
    wait_for,
    wait_for_status,
    wait_for_trainer,
)
from tests.services import Overrides
from worker.environment import child_environment

HOUR = 3600.0
LEASE = 4.0


def test_two_hours_apart(tmp_path: Path, of_database: Overrides) -> None:
    settings = make_settings(
        tmp_path, of_database, poll_seconds=0.1, sweep_seconds=0.1, lease_seconds=LEASE
    )
    database = Database(settings.resolved_database_url)
    scripts = [["work", "spin"], ["work", "work"]]
    job = build.job(database, build.project(database), hyperparameters={"scripts": scripts})
    ahead = Clock(tmp_path / "ahead", HOUR).variables(child_environment(settings))
    behind = Clock(tmp_path / "behind", -HOUR).variables(child_environment(settings))
    with running(settings, tmp_path, "ahead", ahead) as first:
        wait_for_trainer(database, job)
        began = build.read(database, job).lease_expires_at or 0.0
        with running(settings, tmp_path, "behind", behind) as second:
            # Both sweep ten times a second meanwhile, and neither takes the lease away.
            wait_for(lambda: _expires(database, job) > began + LEASE or None)
            held = build.read(database, job)
            assert (held.status, held.attempt, held.failures) == ("running", 1, 0)
            with database.read() as session:
                assert 0 < (held.lease_expires_at or 0.0) - read_clock(session) <= LEASE
            kill(first.pid)
            # Nor does it last an hour longer than it should.
            done = wait_for_status(database, job, "succeeded", "failed")
            assert (done.status, done.attempt) == ("succeeded", 2)
            assert second.stop() == 0
    database.close()


def _expires(database: Database, job: object) -> float:
    return build.read(database, job).lease_expires_at or 0.0  # type: ignore[arg-type]
