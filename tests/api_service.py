"""A service in a temporary directory for tests: real database, real store, real app, no network.

Nothing here imports torch, so tests of the API alone start quickly.
"""

from __future__ import annotations

import io
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app
from core.access.key_hash import write_private
from core.access.scopes import Scope
from core.objects import ObjectStore
from core.records import keys, models, projects
from core.records.engine import Database, migrate
from core.settings import Settings
from tests.service_builders import HASHING, KEY_SECRET

CLASSES = ("cat", "dog", "owl")
ADDRESS = "http://127.0.0.1:8000"


@dataclass
class Service:
    """One app with one project and its key."""

    settings: Settings
    database: Database
    store: ObjectStore
    project_id: str
    key: str
    client: TestClient  # with the key; lets the app's own 500 through instead of raising

    @property
    def own_database(self) -> Database:
        """The app's own pool of connections."""
        database = self.client.app.state.services.database  # type: ignore[attr-defined]
        assert isinstance(database, Database)
        return database

    def anonymous(self) -> dict[str, str]:
        """Headers that take the client's key away."""
        return {"authorization": ""}

    def upload(
        self, data: bytes, purpose: str = "fine-tune", filename: str = "images.zip"
    ) -> dict[str, Any]:
        """The file object of an upload that must succeed."""
        answer = self.client.post(
            "/v1/files", data={"purpose": purpose}, files={"file": (filename, data)}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def leftovers(self) -> list[str]:
        """What lies on the spool or in the store."""
        spooled = [path.name for path in self.settings.spool_directory.glob("*")]
        root = self.settings.data_dir / "objects"
        return spooled + [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]


def make_settings(directory: Path, **overrides: Any) -> Settings:
    """Settings that keep everything under the directory and ask no other process."""
    values = {"serving_port": 9, "refusals_wait": 0.0} | overrides
    return Settings(data_dir=directory, **values)


def prepare(settings: Settings) -> tuple[Database, ObjectStore, str, str]:
    """A migrated database with one project and an admin's key: (database, store, project id,
    secret)."""
    prepare_database(settings)
    write_private(settings.key_secret_path, KEY_SECRET, replace=True)
    database = Database(settings.resolved_database_url)
    project_id, secret = add_key(database, "default")
    return database, ObjectStore.from_settings(settings), project_id, secret


def prepare_database(settings: Settings) -> None:
    """An empty database of the newest schema where the settings have it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if settings.database_url is None:
        (settings.data_dir / "lipsum.db").write_bytes(_migrated())
    else:
        migrate(settings.database_url)


@cache
def _migrated() -> bytes:
    """An empty database of the newest schema: migrated once, copied for each service."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lipsum.db"
        migrate(f"sqlite:///{path}")
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


def add_key(
    database: Database, project: str, scopes: Iterable[Scope] = ("admin",), **values: Any
) -> tuple[str, str]:
    """The project's id and a new key's secret."""
    with database.write() as session:
        row = projects.find_or_create(session, project)
        _, secret = keys.create(session, row.id, "test", HASHING, scopes=scopes, **values)
    return row.id, secret


@contextmanager
def open_service(directory: Path, **overrides: Any) -> Iterator[Service]:
    """The service for the block's duration."""
    settings = make_settings(directory, **overrides)
    database, store, project_id, secret = prepare(settings)
    try:
        app = create_app(settings)
        with TestClient(app, ADDRESS, raise_server_exceptions=False) as client:
            client.headers["authorization"] = f"Bearer {secret}"
            yield Service(settings, database, store, project_id, secret, client)
    finally:
        database.close()


def add_base(
    database: Database,
    store: ObjectStore,
    name: str = "tiny",
    tar: bytes = b"weights of a base",
    **info: str,
) -> str:
    """A registered base whose tar is those bytes; its id."""
    stored = store.put_bytes(f"bases/{name}.tar", tar)
    with database.write() as session:
        row = models.register_base(
            session,
            name,
            object_key=stored.key,
            sha256=stored.sha256,
            size=stored.size,
            members={"open_clip_config.json": [8, 3], "README.md": [12, 5]},
            info={"image_size": 16, "embed_dim": 8, **info},
        )
    return row.id


def png(seed: int = 0, side: int = 8) -> bytes:
    """A small PNG; each seed has its own pixels."""
    out = io.BytesIO()
    colour = (seed * 37 % 256, seed * 101 % 256, seed * 17 % 256)
    Image.new("RGB", (side, side), colour).save(out, "PNG")
    return out.getvalue()


def zip_of(entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A ZIP with these entries, in their order."""
    out = io.BytesIO()
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in pairs:
            archive.writestr(name, data)
    return out.getvalue()


def dataset(
    splits: Iterable[str] = ("train", "test", "sketch"),
    classes: Iterable[str] = CLASSES,
    images: int = 4,
    seed: int = 0,
) -> bytes:
    """A ZIP of split/class/image.png; no two images have the same bytes."""
    names = [(split, name, n) for split in splits for name in classes for n in range(images)]
    return zip_of(
        {
            f"{split}/{name}/{number}.png": png(seed + place)
            for place, (split, name, number) in enumerate(names)
        }
    )
