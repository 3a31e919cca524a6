"""The migrations and the tables say the same, on both databases, and go both ways."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text

from core.records.engine import Database, migrate
from core.records.tables import ApiKey, Base, KeySecret
from tests.services import empty_postgresql

_BETWEEN = re.compile(r",(?![^(]*\))")  # commas outside of parentheses


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return empty_postgresql(request.getfixturevalue("postgresql_server"))


def test_upgrade_makes_what_the_tables_declare(empty_url: str) -> None:
    migrate(empty_url)
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_upgrade_makes_the_same_checks(tmp_path: Path) -> None:
    """Alembic does not compare CHECK constraints: SQLite keeps the text of each table."""
    migrated, created = f"sqlite:///{tmp_path / 'm.db'}", f"sqlite:///{tmp_path / 'c.db'}"
    migrate(migrated)
    engine = create_engine(created)
    Base.metadata.create_all(engine)
    engine.dispose()
    assert _clauses(migrated) == _clauses(created)


def test_downgrade_leaves_nothing(empty_url: str) -> None:
    migrate(empty_url)
    migrate(empty_url, "base")
    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
    migrate(empty_url)


def test_keys_go_through_revision_0003_and_back(empty_url: str) -> None:
    migrate(empty_url, "0002")
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO projects VALUES ('proj-1', 'ours', 1.0)"))
        for name in ("first start", "laptop"):
            values = f"('key-{name}', 'proj-1', '{name}', 'hash of {name}', 'lipsum-', 2.0, 3.0)"
            columns = "id, project_id, name, hash, prefix, created_at, last_used_at"
            connection.execute(text(f"INSERT INTO api_keys ({columns}) VALUES {values}"))
    migrate(empty_url)
    database = Database(empty_url)
    with database.read() as session:
        keys = {row.name: row for row in session.execute(select(ApiKey)).scalars()}
        secrets = {row.key_id: row for row in session.execute(select(KeySecret)).scalars()}
    database.close()
    assert keys["first start"].scopes == ["admin"]
    assert "jobs:write" in keys["laptop"].scopes and "admin" not in keys["laptop"].scopes
    assert {(row.created_at, row.last_used_at, row.expires_at) for row in keys.values()} == {
        (2.0, 3.0, None)
    }
    laptop = secrets["key-laptop"]
    assert (laptop.digest, laptop.keyed_with, laptop.valid_until) == ("hash of laptop", None, None)
    engine.dispose()
    migrate(empty_url, "base")


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    faults: list[BaseException] = []

    def run() -> None:
        try:
            migrate(empty_url)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_sqlite_runs_as_we_want_it(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'x.db'}")
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.write() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    database.close()
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "busy_timeout": 30_000,
    }


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://"])
def test_a_database_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database_url"):
        Database(url)


def _clauses(url: str) -> dict[str, set[str]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic_version%'")
        ).all()
    engine.dispose()
    # A column that was added later stands behind the last one, on its line.
    clauses = {name: _BETWEEN.split((sql or "").rstrip().removesuffix(")")) for name, sql in rows}
    return {
        name: {re.sub(r"\s+", " ", clause).strip() for clause in found}
        for name, found in clauses.items()
    }
