"""One service for each test module; a test that counts what there is takes a fresh one.

Each is there over both databases: what needs PostgreSQL's programs is marked `servers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api_service import Service, open_service
from tests.services import (
    Overrides,
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    of_database,
    postgresql_server,
    postgresql_template,
)

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "of_database",
    "postgresql_server",
    "postgresql_template",
]


@pytest.fixture(scope="module")
def service(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with open_service(tmp_path_factory.mktemp("service"), **of_database()) as opened:
        yield opened


@pytest.fixture
def fresh(of_database: Overrides, tmp_path: Path) -> Iterator[Service]:
    """A service that nothing was done to yet."""
    with open_service(tmp_path, **of_database()) as opened:
        yield opened
