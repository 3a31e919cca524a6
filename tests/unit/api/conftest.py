"""One service for each test module; a test that counts what there is takes a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api_service import Service, open_service
from tests.services import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
)

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with open_service(tmp_path_factory.mktemp("service")) as opened:
        yield opened


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Service]:
    """A service that nothing was done to yet."""
    with open_service(tmp_path) as opened:
        yield opened
