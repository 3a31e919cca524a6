"""The API as a process on a free port, without an inference process: nothing here needs torch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI

from core.objects import ObjectStore
from core.records.engine import Database
from core.settings import Settings
from tests.api_service import prepare
from tests.services import free_port
from worker.environment import child_environment

ROOT = Path(__file__).parents[1]
STARTUP_SECONDS = 60.0


@dataclass
class ApiProcess:
    """A running API with one project and its key."""

    settings: Settings
    database: Database
    store: ObjectStore
    project_id: str
    key: str
    process: subprocess.Popen[bytes]  # which a test may kill and start again

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def openai(self, **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.address}/v1", api_key=self.key, **options)

    def async_openai(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.address}/v1", api_key=self.key)

    def http(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60.0)


@contextmanager
def api_process(directory: Path, **overrides: Any) -> Iterator[ApiProcess]:
    """The API for the block's duration, over a data directory of its own."""
    values: dict[str, Any] = {"port": free_port(), "serving_port": 9, "device": "cpu"}
    settings = Settings(data_dir=directory / "data", **{**values, **overrides})
    database, store, project_id, key = prepare(settings)
    running = ApiProcess(settings, database, store, project_id, key, start(settings))
    try:
        yield running
    finally:
        database.close()
        running.process.terminate()
        running.process.wait(20)


def launch(settings: Settings, **variables: str) -> subprocess.Popen[bytes]:
    """`lipsum api` with these settings and environment variables, on its way."""
    environment = {**child_environment(settings), **variables}
    command = [sys.executable, "-m", "cli.main", "api"]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """`lipsum api` with these settings, ready to answer."""
    process = launch(settings)
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the API ended at start"
        try:
            httpx.get(f"http://127.0.0.1:{settings.port}/healthz")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise AssertionError(f"the API did not answer within {STARTUP_SECONDS} s")
