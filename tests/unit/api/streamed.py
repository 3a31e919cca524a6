"""Streams of a job as a client reads them, over a socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api import events
from api.app import create_app
from core.records import events as records
from core.records import publishing
from core.records.events import Line
from core.records.tables import Job
from tests import service_builders as build
from tests.api_service import Service, make_settings, prepare
from tests.live_api import live

JOBS = "/v1/fine_tuning/jobs"


@dataclass
class Sent:
    """One event as a client reads it."""

    id: str | None  # step metrics have none
    event: str
    data: dict[str, Any]


def read(lines: Iterator[str]) -> Iterator[Sent]:
    """The events of a stream; comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "":
            if "data" in fields:
                yield Sent(fields.get("id"), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def finish(service: Service, job: Job) -> None:
    """The job succeeds."""
    held = build.claim(service.database)
    assert held.job_id == job.id
    with service.database.write() as session:
        publishing.publish(session, held, build.results(held), max_attempts=1)


def say(service: Service, job: Job, *messages: str) -> None:
    """Events of the job."""
    with service.database.write() as session:
        records.append(session, job.id, [Line(message) for message in messages])


@dataclass
class Live:
    """A service that is reached over a socket."""

    service: Service
    address: str

    @property
    def feed(self) -> events.Feed:
        feed: events.Feed = self.service.client.app.state.services.feed  # type: ignore[attr-defined]
        return feed

    def url(self, job: Job) -> str:
        return f"{self.address}{JOBS}/{job.id}/events?stream=true"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.service.key}"}

    def watchers(self) -> int:
        return len(self.feed._watches)

    def wait_for_watchers(self, number: int) -> None:
        deadline = time.monotonic() + 20
        while self.watchers() != number:
            assert time.monotonic() < deadline, f"{self.watchers()} watchers, not {number}"
            time.sleep(0.01)


@contextmanager
def running_live(directory: Path) -> Iterator[Live]:
    """A service and its address."""
    settings = make_settings(directory)
    database, store, project_id, key = prepare(settings)
    app = create_app(settings)
    with live(app) as address:
        client: Any = httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"})
        client.app = app
        yield Live(Service(settings, database, store, project_id, key, client), address)
        client.close()
    database.close()
