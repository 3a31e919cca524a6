"""Webhooks on their way: to a real receiver, verified with the specification's own package and
with the OpenAI SDK, sent again by another when the sender was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from sqlalchemy import update
from standardwebhooks import Webhook

from core.records import deliveries, jobs, webhooks
from core.records.engine import Database
from core.records.tables import Job, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from core.settings import Settings
from core.webhooks.signing import new_secret
from tests import service_builders as build
from tests.receiver import Receiver, receiver
from worker.deliverer import SENDERS, Deliverer
from worker.environment import child_environment

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    """May go to this machine, on any port a test's receiver has."""
    url = database.engine.url.render_as_string(hide_password=False)
    return Settings(
        data_dir=tmp_path,
        database_url=url,
        outgoing_hosts=("127.0.0.1",),
        outgoing_ports=tuple(range(1024, 65536)),
    )


@pytest.fixture
def project(database: Database) -> str:
    return build.project(database)


def endpoint(database: Database, project: str, url: str) -> WebhookEndpoint:
    with database.write() as session:
        return webhooks.create(
            session,
            project,
            url=url,
            event_types=webhooks.EVENT_TYPES,
            description=None,
            secret=new_secret(),
        )


def end(database: Database, project: str) -> Job:
    job = build.job(database, project)
    with database.write() as session:
        return jobs.request_cancel(session, project, job.id)


def deliver(database: Database, settings: Settings) -> None:
    """Sends what is due and waits for the answers."""
    for future in Deliverer(database, settings).step():
        future.result(20)


def told(database: Database, row: WebhookEndpoint) -> list[tuple[str, list[WebhookAttempt]]]:
    with database.read() as session:
        page = deliveries.list_deliveries(session, row, after=None, order="asc", limit=100)
        attempts = deliveries.attempts_of(session, page.items)
    return [(item.status, attempts[item.id]) for item in page.items]


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_a_message_is_thin_and_signed(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    row = endpoint(database, project, f"{server.address}/hook")
    job = end(database, project)
    deliver(database, settings)
    [request] = server.received
    content = Webhook(row.secret).verify(request.body, request.headers)
    assert content == {
        "id": request.headers["webhook-id"],
        "type": "fine_tuning.job.cancelled",
        "created_at": content["created_at"],
        "data": {"id": job.id},
    }
    assert abs(content["created_at"] - time.time()) < 60
    assert request.headers["content-type"] == "application/json"
    event = OpenAI(api_key="x").webhooks.unwrap(request.body, request.headers, secret=row.secret)
    assert (event.type, event.data.id) == ("fine_tuning.job.cancelled", job.id)
    [(status, [attempt])] = told(database, row)
    assert (status, attempt.status_code, attempt.error) == ("delivered", 204, None)


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    row = endpoint(database, project, server.address)
    with database.write() as session:
        new = webhooks.rotate(session, project, row.id, new_secret())
    end(database, project)
    deliver(database, settings)
    with database.write() as session:
        session.execute(update(WebhookEndpoint).values(previous_secret_until=time.time() - 1))
    end(database, project)
    deliver(database, settings)
    both, one = server.received
    assert len(both.headers["webhook-signature"].split()) == 2
    for secret in (row.secret, new.secret):
        Webhook(secret).verify(both.body, both.headers)
    assert len(one.headers["webhook-signature"].split()) == 1
    Webhook(new.secret).verify(one.body, one.headers)


@pytest.mark.parametrize("answer", [500, 404, 302, 301])
def test_what_is_no_success_is_tried_again_under_the_same_id(
    database: Database, settings: Settings, project: str, answer: int
) -> None:
    with receiver(answer, 200) as server:
        server.location = server.address  # where a redirect would lead
        row = endpoint(database, project, server.address)
        end(database, project)
        deliver(database, settings)
        assert len(server.received) == 1
        with database.write() as session:
            session.execute(update(WebhookDelivery).values(due_at=0.0))
        deliver(database, settings)
    assert len(server.ids) == 2
    assert len(set(server.ids)) == 1
    [(status, attempts)] = told(database, row)
    assert (status, [item.status_code for item in attempts]) == ("delivered", [answer, 200])


def test_gone_disables_the_endpoint(database: Database, settings: Settings, project: str) -> None:
    with receiver(410) as server:
        row = endpoint(database, project, server.address)
        end(database, project)
        deliver(database, settings)
        end(database, project)
        deliver(database, settings)
    assert len(server.received) == 1
    with database.read() as session:
        assert webhooks.get(session, project, row.id).status == "disabled"


def test_an_address_is_judged_with_every_message(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    """The operator has changed the list, or the name has come to mean another machine."""
    row = endpoint(database, project, server.address)
    end(database, project)
    strict = settings.model_copy(update={"outgoing_hosts": ()})
    deliver(database, strict)
    assert server.received == []
    [(status, [attempt])] = told(database, row)
    assert (status, attempt.status_code) == ("pending", None)
    assert "cannot be called" in str(attempt.error)


def test_who_does_not_answer_keeps_nobody_else_waiting(
    database: Database, settings: Settings, project: str
) -> None:
    with receiver() as slow, receiver() as quick:
        slow.hold.clear()
        for _ in range(2):
            endpoint(database, project, slow.address)
        endpoint(database, project, quick.address)
        end(database, project)
        end(database, project)
        deliverer = Deliverer(database, settings)
        deliverer.step()
        deadline = time.monotonic() + 20
        while len(quick.received) < 2:
            assert time.monotonic() < deadline
            deliverer.step()
            time.sleep(0.02)
        assert len(slow.received) == 2  # one at a time to each
        slow.hold.set()


def test_no_more_are_under_way_than_there_are_senders(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    server.hold.clear()
    for _ in range(SENDERS + 2):
        endpoint(database, project, server.address)
    end(database, project)
    deliverer = Deliverer(database, settings)
    assert len(deliverer.step()) == SENDERS
    assert deliverer.step() == []
    server.hold.set()


def test_a_sender_that_was_killed_is_followed_by_another_with_the_same_message(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    row = endpoint(database, project, server.address)
    end(database, project)
    server.hold.clear()
    script = (
        "from core.records.engine import Database; from core.settings import load_settings; "
        "from worker.deliverer import Deliverer; settings = load_settings(); "
        "[f.result() for f in Deliverer(Database(settings.resolved_database_url), settings).step()]"
    )
    environment = child_environment(settings.model_copy(update={"outgoing_ports": (server.port,)}))
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 30
    while not server.received:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.hold.set()
    deliver(database, settings)
    assert len(server.received) == 1  # it is held: the dead one may only be slow
    with database.write() as session:
        session.execute(update(WebhookEndpoint).values(lease_until=time.time() - 1))
    deliver(database, settings)
    assert len(server.ids) == 2
    assert len(set(server.ids)) == 1
    assert json.loads(server.received[0].body) == json.loads(server.received[1].body)
    assert [status for status, _ in told(database, row)] == ["delivered"]


def test_it_runs_until_it_is_stopped(
    database: Database, settings: Settings, project: str, server: Receiver
) -> None:
    endpoint(database, project, server.address)
    deliverer: Any = Deliverer(database, settings)
    thread = threading.Thread(target=deliverer.run)
    thread.start()
    end(database, project)
    deadline = time.monotonic() + 20
    while not server.received:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    deliverer.stop()
    thread.join(20)
    assert not thread.is_alive()
