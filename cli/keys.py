"""`lipsum keys ...`."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from cli.prepare import DEFAULT_PROJECT, prepare
from core.records import keys
from core.records.engine import Database
from core.settings import Settings


def create(settings: Settings, name: str) -> str:
    """The secret of a new key."""
    prepare(settings)
    with Database(settings.resolved_database_url).write() as session:
        project = keys.create_project(session, DEFAULT_PROJECT)
        return keys.create(session, project.id, name)[1]


def show(settings: Settings) -> None:
    """A table of the keys, without secrets."""
    prepare(settings)
    with Database(settings.resolved_database_url).write() as session:
        project = keys.create_project(session, DEFAULT_PROJECT)
        found = keys.list_keys(session, project.id)
    table = Table("id", "name", "begins with", "made", "last used", "revoked")
    for key in found:
        times = (key.created_at, key.last_used_at, key.revoked_at)
        table.add_row(key.id, key.name, key.prefix + "...", *(_when(time) for time in times))
    Console(highlight=False).print(table)


def revoke(settings: Settings, key: str) -> None:
    """The key opens nothing any more."""
    prepare(settings)
    with Database(settings.resolved_database_url).write() as session:
        project = keys.create_project(session, DEFAULT_PROJECT)
        keys.revoke(session, project.id, key)


def _when(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
