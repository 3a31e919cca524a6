from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
)
from tests.unit.worker.worlds import World

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
]


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """What the supervisor writes is tested on both databases in `tests/unit/records`."""
    shutil.copy(migrated_sqlite, tmp_path / "lipsum.db")
    return f"sqlite:///{tmp_path / 'lipsum.db'}"


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    found = World(sqlite_url, tmp_path)
    yield found
    found.close()
