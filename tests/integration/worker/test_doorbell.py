"""The doorbell rings, on each broker; and without one, polling does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import doorbell
from core.records.engine import Database
from core.records.tables import Job
from core.settings import Settings
from tests import service_builders as build
from tests.integration.worker.workers import (
    make_settings,
    running,
    wait_for,
    wait_for_status,
)
from tests.rabbitmq_server import private_rabbitmq
from tests.services import Overrides

BROKERS = [
    "directory",
    *(pytest.param(name, marks=pytest.mark.servers) for name in ("redis", "rabbitmq")),
]


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    with private_rabbitmq() as url:
        yield url


@pytest.mark.parametrize("broker", BROKERS)
def test_a_ring_starts_the_job_within_two_seconds(
    request: pytest.FixtureRequest, tmp_path: Path, of_database: Overrides, broker: str
) -> None:
    """Poll and sweep are an hour apart, so nothing but the doorbell can have done it."""
    url = None if broker == "directory" else request.getfixturevalue(f"{broker}_url")
    settings = make_settings(tmp_path, of_database, broker_url=url)
    database = Database(settings.resolved_database_url)
    with running(settings, tmp_path) as worker:
        worker.wait_until_ready()
        for _ in range(2):
            job = _create(database, settings)
            assert doorbell.ring(settings)
            done = wait_for_status(database, job, "succeeded")
            assert done.started_at is not None
            assert done.started_at - done.created_at < 2.0
        assert worker.stop() == 0
    database.close()


def test_without_a_broker_polling_starts_the_job(tmp_path: Path, of_database: Overrides) -> None:
    settings = make_settings(
        tmp_path, of_database, broker_url="redis://127.0.0.1:1/0", poll_seconds=0.2
    )
    database = Database(settings.resolved_database_url)
    with running(settings, tmp_path) as worker:
        wait_for(worker.consumer_pid)
        job = _create(database, settings)
        assert not doorbell.ring(settings)
        wait_for_status(database, job, "succeeded")
        assert worker.stop() == 0
    database.close()


def _create(database: Database, settings: Settings) -> Job:
    return build.job(database, build.project(database))
