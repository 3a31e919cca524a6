"""Empty databases of either kind, on servers and in files of their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.services import find_program, private_postgresql

NewDatabase = Callable[[Path], str]
"""The URL of a new database, named after a file that need not exist."""


@contextmanager
def database_kinds() -> Iterator[dict[str, NewDatabase]]:
    """SQLite, and PostgreSQL where its programs are, which then waits for the disk at each commit
    as it does by default."""
    kinds: dict[str, NewDatabase] = {"sqlite": lambda path: f"sqlite:///{path}"}
    if postgresql_version() is None:
        yield kinds
        return
    with private_postgresql(durable=True) as server:
        yield kinds | {"postgresql": lambda path: _create(server, path.stem)}


def postgresql_version() -> str | None:
    """Of the server that is started here; None where there is none."""
    program = find_program("postgres")
    if program is None or find_program("initdb") is None:
        return None
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found[0] if found else said.stdout.strip()


def _create(server: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return f"{server.rpartition('/')[0]}/{name}"
