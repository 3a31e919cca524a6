"""A service over each of the databases, and a sweeper that thinks a day has passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from core.records.tables import File, Job, Model
from tests.api_service import Service, add_base, open_service
from tests.services import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
)
from worker.sweeper import Sweeper

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
]


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path / "service", database_url=database_url) as opened:
        add_base(opened.database, opened.store)
        yield opened


class Tomorrow:
    """Calls the sweeper as it will be called a day after what was deleted until now."""

    def __init__(self, service: Service) -> None:
        self._database = service.database
        self._sweeper = Sweeper(service.database, service.store, service.settings, lambda: None)

    def __call__(self) -> None:
        with self._database.write() as session:
            for kind in (File, Model):
                session.execute(update(kind).values(deleted_at=kind.deleted_at - 86400.0))
            session.execute(update(Job).values(finished_at=Job.finished_at - 86400.0))
        self._sweeper.sweep()

    def today(self) -> None:
        self._sweeper.sweep()


@pytest.fixture
def tomorrow(service: Service) -> Tomorrow:
    return Tomorrow(service)
