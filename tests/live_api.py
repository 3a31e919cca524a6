"""The API on a real port, in a thread of the test: for others' clients and for raw bytes.

Served as `lipsum api` serves it. No inference process runs beside it, so nothing imports torch.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from openai import OpenAI

from api.app import create_app
from cli.servers import ApiServer
from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings
from tests.api_service import make_settings, prepare
from tests.services import free_port

START_SECONDS = 20.0


@dataclass(frozen=True)
class LiveApi:
    """A running API with one project and an admin's key."""

    settings: Settings
    database: Database
    store: ObjectStore
    project_id: str
    key: str

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def openai(self, key: str | None = None, **options: Any) -> OpenAI:
        """The SDK with that key, by default the admin's."""
        return OpenAI(base_url=f"{self.address}/v1", api_key=key or self.key, **options)

    def raw(self, request: bytes) -> Reply:
        """What comes back for exactly these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return Reply.parse(received)


@dataclass(frozen=True)
class Reply:
    """An answer as it came off the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def parse(cls, received: bytes) -> Reply:
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        return cls(int(first.split()[1]), headers, body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@contextmanager
def live_api(directory: Path, **overrides: Any) -> Iterator[LiveApi]:
    """The API for the block's duration."""
    settings = make_settings(directory, port=free_port(), **overrides)
    database, store, project_id, key = prepare(settings)
    try:
        with _served(create_app(settings), settings):
            yield LiveApi(settings, database, store, project_id, key)
    finally:
        database.close()


@contextmanager
def live(app: FastAPI) -> Iterator[str]:
    """That app's address, `http://127.0.0.1:PORT`, while the block runs."""
    settings = make_settings(Path("nowhere"), port=free_port())
    with _served(app, settings):
        yield f"http://127.0.0.1:{settings.port}"


@contextmanager
def _served(app: FastAPI, settings: Settings) -> Iterator[None]:
    server = ApiServer(app, settings)
    thread = threading.Thread(target=server.run, name="live-api")
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the API did not start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * START_SECONDS)
        assert not thread.is_alive(), "the API did not stop"
