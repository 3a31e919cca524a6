"""`lipsum keys`, `projects` and `limit`, and what a start makes and refuses."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from typer.testing import CliRunner

from cli.binding import check_start, exposure, is_loopback
from cli.main import app
from cli.prepare import prepare
from cli.servers import run_api
from core.access.key_hash import KeyHash
from core.access.scopes import USER_SCOPES
from core.errors import InvalidRequest, Unauthenticated
from core.records import audit, keys, projects
from core.records.engine import Database, migrate
from core.records.tables import ApiKey, AuditLine, KeySecret
from core.settings import Settings

HOUR = 3600.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a service that was prepared once."""
    found = Settings(data_dir=tmp_path_factory.mktemp("data"))
    prepare(found)
    return found


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    found = Database(settings.resolved_database_url)
    yield found
    found.close()


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setenv("LIPSUM_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("COLUMNS", "250")
    return Runner()


class Runner:
    def __call__(self, *arguments: str) -> str:
        """What the command prints; its fault is raised."""
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output.strip()


def opened(database: Database, settings: Settings, secret: str) -> ApiKey:
    with database.read() as session:
        return keys.authenticate(session, secret, KeyHash.from_settings(settings))


class TestTheFirstStart:
    def test_makes_an_admins_key(self, settings: Settings, database: Database) -> None:
        secret = settings.api_key_path.read_text().strip()
        assert opened(database, settings, secret).scopes == ["admin"]
        with database.read() as session:
            line = audit.list_lines(session, opened(database, settings, secret).project_id).items[
                -1
            ]
        assert (line.action, line.key_id) == ("key.create", None)

    def test_leaves_secrets_to_their_owner_alone(self, settings: Settings) -> None:
        for path in (settings.api_key_path, settings.key_secret_path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(settings.key_secret_path.read_text().strip()) == 64

    def test_is_the_only_one_that_makes_them(self, settings: Settings) -> None:
        before = [p.read_bytes() for p in (settings.api_key_path, settings.key_secret_path)]
        assert prepare(settings).made_key is False
        assert [p.read_bytes() for p in (settings.api_key_path, settings.key_secret_path)] == before
        assert not list(settings.data_dir.glob("*_secret.*"))


class TestAKeyOfTheCommandLine:
    def test_may_what_a_user_may_unless_told_otherwise(
        self, run: Runner, database: Database, settings: Settings
    ) -> None:
        key = opened(database, settings, run("keys", "create", "laptop"))
        assert (key.name, set(key.scopes), key.expires_at) == ("laptop", set(USER_SCOPES), None)
        secret = run(
            "keys", "create", "ci", "--scope", "jobs:read", "--scope", "keys", "--days", "2"
        )
        key = opened(database, settings, secret)
        assert key.scopes == ["jobs:read", "keys"]
        assert (key.expires_at or 0) - key.created_at == pytest.approx(48 * HOUR, abs=60)

    def test_with_a_scope_that_is_none_lists_all(self, run: Runner) -> None:
        with pytest.raises(InvalidRequest, match=r"jobs:\* is no scope; .*jobs:write"):
            run("keys", "create", "x", "--scope", "jobs:*")

    def test_of_a_project(self, run: Runner, database: Database, settings: Settings) -> None:
        with pytest.raises(Exception, match="lipsum projects create birds"):
            run("keys", "create", "x", "--project", "birds")
        project_id = run("projects", "create", "birds")
        for named in ("birds", project_id):
            secret = run("keys", "create", f"by {named}", "--project", named)
            assert opened(database, settings, secret).project_id == project_id
        assert "by birds" in run("keys", "list", "--project", "birds")
        assert "by birds" not in run("keys", "list")
        assert "birds" in run("projects", "list")

    def test_is_rotated_with_overlap(
        self, run: Runner, database: Database, settings: Settings
    ) -> None:
        old = run("keys", "create", "rotated")
        key_id = opened(database, settings, old).id
        new = run("keys", "rotate", key_id)
        assert opened(database, settings, old).id == opened(database, settings, new).id == key_id
        newest = run("keys", "rotate", key_id, "--overlap", "0")
        assert opened(database, settings, newest).id == key_id
        for secret in (old, new):
            with pytest.raises(Unauthenticated):
                opened(database, settings, secret)

    def test_that_other_commands_use_is_rotated_for_them_too(
        self, run: Runner, database: Database, settings: Settings
    ) -> None:
        kept = opened(database, settings, settings.api_key_path.read_text().strip())
        new = run("keys", "rotate", kept.id, "--overlap", "0")
        assert settings.api_key_path.read_text().strip() == new
        assert stat.S_IMODE(settings.api_key_path.stat().st_mode) == 0o600

    def test_is_revoked(self, run: Runner, database: Database, settings: Settings) -> None:
        secret = run("keys", "create", "gone")
        run("keys", "revoke", opened(database, settings, secret).id)
        with pytest.raises(Unauthenticated):
            opened(database, settings, secret)

    def test_and_what_limits_it_is_logged(
        self, run: Runner, database: Database, settings: Settings
    ) -> None:
        key = opened(database, settings, run("keys", "create", "limited"))
        said = run("limit", key.id, "--requests-per-minute", "60", "--concurrent-jobs", "2")
        assert said == f"{key.id}: requests_per_minute 60, concurrent_jobs 2"
        assert run("limit", key.id) == f"{key.id}: not limited"
        run("projects", "create", "poor")
        told = run("limit", "poor", "--stored-bytes", "7", "--running-jobs", "3")
        assert told.endswith("stored_bytes 7, running_jobs 3")
        assert "running_jobs 3" in " ".join(run("projects", "list").split())
        with pytest.raises(InvalidRequest, match="only a project has that limit"):
            run("limit", key.id, "--running-jobs", "1")
        with database.read() as session:
            chosen = select(AuditLine.action).where(AuditLine.object_id == key.id)
            actions = list(session.execute(chosen).scalars())
        assert sorted(actions) == ["key.create", "key.limit", "key.limit"]


class TestKeysFromBeforeRevision0003:
    def test_go_on_working(self, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path)
        secrets = {"first start": "lipsum-first", "laptop": "lipsum-laptop"}
        _old_service(settings, secrets)
        prepare(settings)
        database = Database(settings.resolved_database_url)
        first, laptop = (opened(database, settings, secret) for secret in secrets.values())
        assert (first.scopes, set(laptop.scopes)) == (["admin"], set(USER_SCOPES))
        assert (first.id, first.name, first.created_at) == ("key-0", "first start", 1000.0)
        with pytest.raises(Unauthenticated):
            opened(database, settings, "lipsum-revoked")
        with database.read() as session:
            digests = set(session.execute(select(KeySecret.digest)).scalars())
            assert keys.count(session) == 2
        database.close()
        assert not digests & {hashlib.sha256(s.encode()).hexdigest() for s in secrets.values()}


def _old_service(settings: Settings, secrets: dict[str, str]) -> None:
    """A database of revision 0002 with these keys and a revoked one."""
    migrate(settings.resolved_database_url, "0002")
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        session.execute(text("INSERT INTO projects VALUES ('proj-1', 'default', 999.0)"))
        for number, (name, secret) in enumerate({**secrets, "old": "lipsum-revoked"}.items()):
            session.execute(
                text(
                    "INSERT INTO api_keys VALUES"
                    " (:id, 'proj-1', :name, :hash, 'lipsum-abc', 1000.0, NULL, :revoked)"
                ),
                {
                    "id": f"key-{number}",
                    "name": name,
                    "hash": hashlib.sha256(secret.encode()).hexdigest(),
                    "revoked": 1001.0 if name == "old" else None,
                },
            )
    database.close()


class TestAStart:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "lipsum.example"])
    def test_open_to_others_without_a_key_is_refused(self, tmp_path: Path, host: str) -> None:
        """CVE-2023-48022 (Ray): an API for jobs, on every address, for everybody."""
        settings = _without_keys(tmp_path, host=host)
        with pytest.raises(InvalidRequest, match="lipsum keys create") as fault:
            run_api(settings)
        assert fault.value.code == "exposed_without_keys"
        assert host in fault.value.message

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
    def test_on_loopback_needs_none(self, tmp_path: Path, host: str) -> None:
        check_start(_without_keys(tmp_path, host=host))

    def test_with_expired_and_revoked_keys_alone_is_one_without(self, tmp_path: Path) -> None:
        settings = _without_keys(tmp_path, host="0.0.0.0")
        database = Database(settings.resolved_database_url)
        with database.write() as session:
            project = projects.find_or_create(session, "default")
            hashing = KeyHash.from_settings(settings)
            keys.create(session, project.id, "x", hashing, scopes=["admin"])
        check_start(settings)
        with database.write() as session:
            session.execute(update(ApiKey).values(expires_at=1.0))
        database.close()
        with pytest.raises(InvalidRequest):
            check_start(settings)

    def test_with_another_secret_says_so(self, settings: Settings) -> None:
        other = Settings(data_dir=settings.data_dir, key_secret="another secret of 32 characters.")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="hashed with another secret") as fault:
            check_start(other)
        assert fault.value.code == "other_key_secret"
        check_start(settings)

    def test_without_a_secret_says_how_to_get_one(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="lipsum prepare"):
            check_start(Settings(data_dir=tmp_path))

    def test_says_who_can_reach_it(self, tmp_path: Path) -> None:
        assert exposure(Settings(data_dir=tmp_path)) == []
        said = exposure(Settings(data_dir=tmp_path, host="0.0.0.0", allowed_hosts="a.example"))
        assert "0.0.0.0" in said[0] and "a.example" in said[0] and "TLS" in said[1]

    def test_knows_loopback(self) -> None:
        assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST")))
        assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example", "")))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="key_secret"):
        Settings(key_secret="too short")  # type: ignore[arg-type]


def _without_keys(directory: Path, host: str) -> Settings:
    settings = Settings(data_dir=directory, host=host)
    settings.data_dir.mkdir(exist_ok=True)
    settings.key_secret_path.write_text("a secret")
    migrate(settings.resolved_database_url)
    return settings
