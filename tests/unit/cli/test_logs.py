"""`lipsum logs` against the API on a real port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from api.app import create_app
from cli.main import app
from core.errors import InvalidRequest
from core.records import job_logs, leases
from core.records.engine import Database
from core.records.leases import Claim
from core.settings import Settings
from tests import service_builders as build
from tests.api_service import make_settings, prepare
from tests.live_api import live


class World:
    """A service with a job that is held, which can be stopped and started again."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings: Settings = make_settings(directory)
        self.database: Database
        self.database, _, project, self.key = prepare(self.settings)
        build.job(self.database, project)
        self.held: Claim = build.claim(self.database)
        self._monkeypatch = monkeypatch

    @contextmanager
    def serve(self) -> Iterator[str]:
        with live(create_app(self.settings)) as address:
            self._monkeypatch.setenv("LIPSUM_BASE_URL", f"{address}/v1")
            self._monkeypatch.setenv("LIPSUM_API_KEY", self.key)
            yield address

    def append(self, text: str) -> None:
        with self.database.write() as session:
            job_logs.append(session, self.held, text.encode())

    def end(self) -> None:
        with self.database.write() as session:
            leases.fail(session, self.held, "invalid_dataset", "no", max_attempts=1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    made.database.close()


def test_it_prints_what_there_is(world: World) -> None:
    world.append("one\ntwo\n")
    with world.serve():
        done = CliRunner().invoke(app, ["logs", world.held.job_id], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, "one\ntwo\n")


def test_it_follows_to_the_end(world: World) -> None:
    world.append("one\n")

    def write_and_end() -> None:
        time.sleep(0.5)
        world.append("two\n")
        world.end()

    with world.serve():
        thread = threading.Thread(target=write_and_end)
        thread.start()
        command = ["logs", world.held.job_id, "--follow"]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        thread.join()
    assert (done.exit_code, done.output) == (0, "one\ntwo\n")


def test_a_service_that_stops_is_no_end(world: World) -> None:
    world.append("one\n")
    broken: list[httpx.RemoteProtocolError] = []

    def follow(address: str) -> None:
        url = f"{address}/v1/fine_tuning/jobs/{world.held.job_id}/logs?follow=true"
        headers = {"authorization": f"Bearer {world.key}"}
        try:
            with httpx.stream("GET", url, headers=headers) as answer:
                answer.read()
        except httpx.RemoteProtocolError as error:
            broken.append(error)

    with world.serve() as address:
        thread = threading.Thread(target=follow, args=(address,))
        thread.start()
        time.sleep(1.0)
    thread.join(20)
    assert len(broken) == 1


def test_a_refusal_is_told(world: World) -> None:
    with world.serve(), pytest.raises(InvalidRequest, match="There is no job 'ftjob-none'"):
        CliRunner().invoke(app, ["logs", "ftjob-none"], catch_exceptions=False)
