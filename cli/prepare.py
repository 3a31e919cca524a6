"""What must be there before the service can start: tables, a project, a key, a first base, and the
secret that keys are hashed with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.access.key_hash import KeyHash, make_secret, write_private
from core.access.scopes import ADMIN
from core.bases import register_directory
from core.objects import ObjectStore
from core.records import audit, key_secrets, keys, models, projects
from core.records.audit import Actor
from core.records.engine import Database, migrate
from core.settings import Settings

DEFAULT_PROJECT = "default"
DEMO_BASE = "demo"


@dataclass(frozen=True)
class Prepared:
    """Whether this was the first start, and where its key lies."""

    api_key_path: Path
    made_key: bool


def prepare(settings: Settings) -> Prepared:
    """Bring the database up to date; on a first start make an admin's key and register the demo
    base.

    Safe to run again and by several processes at once: what is there stays.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    make_secret(settings)
    migrate(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    try:
        made_key = _make_first_key(settings, database)
        _register_demo_base(settings, database)
    finally:
        database.close()
    return Prepared(settings.api_key_path, made_key)


def _make_first_key(settings: Settings, database: Database) -> bool:
    hashing = KeyHash.from_settings(settings)
    with database.write() as session:
        project = projects.find_or_create(session, DEFAULT_PROJECT)
        key_secrets.key_bare_digests(session, hashing)
        if keys.count(session) > 0:
            return False
        key, secret = keys.create(session, project.id, "first start", hashing, scopes=[ADMIN])
        audit.note(session, Actor(project.id, None), "key.create", key.id, scopes=key.scopes)
    # The key is shown once: whoever owns the data directory is the operator.
    write_private(settings.api_key_path, secret, replace=True)
    return True


def _register_demo_base(settings: Settings, database: Database) -> None:
    import core.demo

    directory = Path(core.demo.__file__).parent / "base"
    with database.read() as session:
        project = "-"  # bases are visible from everywhere
        known = {m.id for m in models.list_models(session, project, kind="base").items}
    if f"base:{DEMO_BASE}" not in known:
        register_directory(database, ObjectStore.from_settings(settings), DEMO_BASE, directory)
