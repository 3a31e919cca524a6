"""Real servers for tests, started privately and thrown away, and the fixtures that use them.

Import the fixtures in a folder's conftest. Those that need a server carry the `servers` mark;
they are skipped where its program is not installed.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from core.records.engine import Database, migrate

STARTUP_SECONDS = 30.0
MLFLOW_STARTUP_SECONDS = 120.0  # it migrates a database first
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
_POSTGRESQL_PLACES = ("/usr/local/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin")

Overrides = Callable[[], dict[str, Any]]  # of settings


class PostgresqlServer:
    """A server over a directory of its own, which may crash and be started again. A `durable` one
    waits for the disk at every commit, as a server does unless it is told otherwise."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """Makes an empty database in `folder`, unless there is one. Skips where PostgreSQL is not
        installed."""
        self.port = free_port()
        self.url = f"postgresql+psycopg://lipsum@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None
        self._folder, self._durable = folder, durable
        self._program = _find("postgres")
        self._user = _unprivileged_user(folder)  # the server refuses to run as root
        if not (folder / "data").exists():
            subprocess.run(
                [
                    *(_find("initdb"), "-D", folder / "data", "-U", "lipsum", "-A", "trust"),
                    *("--no-sync", "-E", "UTF8"),
                ],
                check=True,
                capture_output=True,
                user=self._user,
                cwd=folder,
            )

    def start(self) -> None:
        """Returns when it answers, after whatever it has to recover."""
        options = ["-c", "listen_addresses=127.0.0.1", "-k", str(self._folder)]
        options += [] if self._durable else ["-c", "fsync=off"]
        self.process = subprocess.Popen(
            [self._program, "-D", self._folder / "data", "-p", str(self.port), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
        _wait_for_port(self.port)
        _wait_for_postgresql(self.url)

    def crash(self) -> None:
        """Ends all its processes at once; open transactions are lost."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """In order, without waiting for clients to leave."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(STARTUP_SECONDS)


class RedisServer:
    """A Redis that keeps nothing on disk: started again, it is empty."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Skips where Redis is not installed."""
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self._folder, self._program = folder, _find("redis-server")

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        _wait_for_port(self.port)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(STARTUP_SECONDS)


@contextmanager
def private_postgresql(*, durable: bool = False) -> Iterator[str]:
    """The URL of an empty database `postgres` on a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="lipsum-postgresql-"))
    server = PostgresqlServer(folder, durable=durable)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_redis(port: int | None = None) -> Iterator[str]:
    """The URL of an empty Redis."""
    folder = Path(tempfile.mkdtemp(prefix="lipsum-redis-"))
    server = RedisServer(folder, port)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_mlflow() -> Iterator[str]:
    """The address of an empty MLflow tracking server, in an environment of its own: its libraries
    are older than ours. Skips where there is neither `mlflow` nor a way to have it."""
    command = _mlflow_command()
    folder = Path(tempfile.mkdtemp(prefix="lipsum-mlflow-"))
    port = free_port()
    process = subprocess.Popen(
        [
            *command,
            *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else a dozen processes more
            **os.environ,
        },
    )
    try:
        _wait_for_port(port, MLFLOW_STARTUP_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STARTUP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _mlflow_command() -> list[str]:
    found = shutil.which("mlflow")
    if found is not None:
        return [found]
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), *_path()]))
    if uv is None:
        pytest.skip("mlflow is not installed, and there is no uv to fetch it")
    command = [uv, "tool", "run", "--from", "mlflow>=3", "mlflow"]
    asked = [*command, "--version"]
    done = subprocess.run(asked, check=False, capture_output=True, timeout=240)
    if done.returncode:
        pytest.skip("mlflow is not installed and cannot be fetched")
    return command


def _path() -> list[str]:
    return os.environ.get("PATH", "").split(os.pathsep)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    return free_ports("port")["port"]


def free_ports(*names: str) -> dict[str, int]:
    """A port for each, no two the same, that nobody listens on at the moment."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in names]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}


def empty_postgresql(server: str, template: str = "template1") -> str:
    """The URL of a new database on that server, without tables or like another that nobody uses."""
    name = f"lipsum_{secrets.token_hex(6)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return f"{server.rsplit('/', 1)[0]}/{name}"


def find_program(name: str) -> str | None:
    """Where a server's program is on this machine, if it is."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *_POSTGRESQL_PLACES])
    return shutil.which(name, path=places)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file to copy: migrating one takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with private_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> str:
    migrate(postgresql_server)
    return postgresql_server


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """The URL of an empty, migrated database to copy, which nobody may connect to meanwhile."""
    url = empty_postgresql(postgresql_server)
    migrate(url)
    return url


def copied_postgresql(template: str) -> str:
    """The URL of a database of one's own, empty and migrated."""
    server, name = template.rsplit("/", 1)
    return empty_postgresql(f"{server}/postgres", name)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with private_redis() as url:
        yield url


@pytest.fixture(scope="session", params=DATABASES)
def of_database(request: pytest.FixtureRequest) -> Overrides:
    """What settings say of an empty database of either kind, a new one each time."""
    if request.param == "sqlite":
        return dict
    template: str = request.getfixturevalue("postgresql_template")
    return lambda: {"database_url": copied_postgresql(template)}


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated database of either kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("migrated_postgresql")
        _empty(url)
        return url
    path = tmp_path / "lipsum.db"
    shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    yield found
    found.close()


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        tables = connection.execute(
            text(
                "SELECT tablename FROM pg_tables "
                "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ).scalars()
        connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"))
    engine.dispose()


def _find(program: str) -> str:
    found = find_program(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def _unprivileged_user(folder: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, found.pw_uid, found.pw_gid)
        return name
    pytest.skip("PostgreSQL does not run as root and there is no user to run it as")


def _wait_for_port(port: int, seconds: float = STARTUP_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _wait_for_postgresql(url: str) -> None:
    engine = create_engine(url)
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            with engine.connect():
                engine.dispose()
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
