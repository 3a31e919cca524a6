"""One service for each test module; a test that counts what there is takes a fresh one.

Each is there over both databases: what needs PostgreSQL's programs is marked `servers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api_service import Service, open_service
from tests.services import (
    copied_postgresql,
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
    postgresql_template,
)

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
    "postgresql_template",
]

Overrides = Callable[[], dict[str, Any]]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def of_database(request: pytest.FixtureRequest) -> Overrides:
    """What settings say of an empty database of either kind, a new one each time."""
    if request.param == "sqlite":
        return dict
    template: str = request.getfixturevalue("postgresql_template")
    return lambda: {"database_url": copied_postgresql(template)}


@pytest.fixture(scope="module")
def service(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with open_service(tmp_path_factory.mktemp("service"), **of_database()) as opened:
        yield opened


@pytest.fixture
def fresh(of_database: Overrides, tmp_path: Path) -> Iterator[Service]:
    """A service that nothing was done to yet."""
    with open_service(tmp_path, **of_database()) as opened:
        yield opened
