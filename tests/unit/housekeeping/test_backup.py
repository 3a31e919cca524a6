"""A backup holds everything and becomes the same service again, on either database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, select
from starlette.testclient import TestClient

from api.app import create_app
from core.errors import Conflict, InvalidRequest
from core.housekeeping.backup import back_up, restore
from core.settings import Settings
from tests.api_service import Service, make_settings
from tests.service_builders import KEY_SECRET
from tests.services import empty_postgresql
from tests.unit.api.tenants import own_one_of_everything

_TABLES_SINCE_0009 = ("doomed_objects", "aliases")
_NEW_IN_0010 = {
    "projects": ("deleted_at",),
    **dict.fromkeys(("files", "models", "dataset_versions"), ("purged_at",)),
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a service that is not there yet."""
    directory = tmp_path / "restored"
    if request.param == "sqlite":
        return make_settings(directory)
    server: str = request.getfixturevalue("postgresql_server")
    return make_settings(directory, database_url=empty_postgresql(server))


def content(url: str) -> dict[str, list[dict[str, object]]]:
    """Every row of every table."""
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = {
            table.name: [
                dict(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in tables.sorted_tables
        }
    engine.dispose()
    return found


def objects(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def backed_up(service: Service, to: Path) -> Path:
    done = back_up(service.database, service.store, service.settings, to)
    assert done.missing == []
    return to


def test_a_service_is_the_same_again(service: Service, target: Settings, tmp_path: Path) -> None:
    owned = own_one_of_everything(service)
    backup = backed_up(service, tmp_path / "backup")
    restore(target, backup, say=lambda text: None)
    assert content(target.resolved_database_url) == content(service.settings.resolved_database_url)
    kept = objects(service.settings.data_dir / "objects")
    assert objects(target.data_dir / "objects") == kept
    assert target.key_secret_path.read_text().strip() == KEY_SECRET
    headers = {"authorization": f"Bearer {service.key}"}
    app = create_app(target)
    with TestClient(app, base_url=str(service.client.base_url), headers=headers) as client:
        file = client.get(f"/v1/files/{owned.file_id}/content")
        assert file.content == service.client.get(f"/v1/files/{owned.file_id}/content").content
        job = client.post(
            "/v1/fine_tuning/jobs", json={"model": "base:tiny", "training_file": owned.file_id}
        )
        assert job.status_code == 200, job.text  # rows that number themselves go on


def test_a_second_backup_copies_what_is_new(service: Service, tmp_path: Path) -> None:
    own_one_of_everything(service)
    backup = backed_up(service, tmp_path / "backup")
    service.upload(b"newer", "user_data")
    done = back_up(service.database, service.store, service.settings, backup)
    assert (done.copied, done.missing) == (1, [])
    assert done.objects == len(objects(backup / "objects"))
    assert backup.stat().st_mode & 0o777 == 0o700
    assert json.loads((backup / "backup.json").read_text())["rows"]["files"] == done.rows["files"]


def test_what_is_missing_is_said(service: Service, tmp_path: Path) -> None:
    service.upload(b"some bytes", "user_data")
    (key,) = (item.key for item in service.store.list("files"))
    service.store.delete(key)
    done = back_up(service.database, service.store, service.settings, tmp_path / "backup")
    assert done.missing == [key]


class TestARestore:
    @pytest.fixture
    def backup(self, service: Service, tmp_path: Path) -> Path:
        service.upload(b"some bytes", "user_data")
        return backed_up(service, tmp_path / "backup")

    @pytest.fixture
    def empty(self, tmp_path: Path) -> Settings:
        return make_settings(tmp_path / "restored")

    def test_goes_into_an_empty_database_alone(self, backup: Path, empty: Settings) -> None:
        restore(empty, backup, say=lambda text: None)
        before = content(empty.resolved_database_url)
        with pytest.raises(Conflict, match="not empty"):
            restore(empty, backup, say=lambda text: None)
        assert content(empty.resolved_database_url) == before

    def test_needs_a_backup_that_was_finished(self, backup: Path, empty: Settings) -> None:
        (backup / "backup.json").unlink()
        with pytest.raises(InvalidRequest, match="did not finish"):
            restore(empty, backup, say=lambda text: None)
        assert not (empty.data_dir / "lipsum.db").exists()

    def test_finds_damage(self, backup: Path, empty: Settings) -> None:
        (path,) = (backup / "objects" / "files").rglob("*/*")
        path.write_bytes(b"same bytes")
        with pytest.raises(InvalidRequest, match="the backup is damaged"):
            restore(empty, backup, say=lambda text: None)

    def test_of_an_older_revision_is_brought_up_to_date(
        self, backup: Path, empty: Settings
    ) -> None:
        manifest = backup / "backup.json"
        told = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**told, "revision": "0009"}))
        for path in (backup / "rows").iterdir():
            if any(name in path.name for name in _TABLES_SINCE_0009):
                path.unlink()
                continue
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                for name in _NEW_IN_0010.get(path.stem.split("-", 1)[1], ()):
                    del row[name]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        restore(empty, backup, say=lambda text: None)
        assert len(content(empty.resolved_database_url)["files"]) == 1
