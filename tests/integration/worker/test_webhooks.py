"""A worker tells a webhook of a job's end; another does when the first was killed at it."""

from __future__ import annotations

from pathlib import Path

from standardwebhooks import Webhook

from core.records import webhooks
from core.records.engine import Database
from core.webhooks.signing import new_secret
from tests import service_builders as build
from tests.integration.worker.workers import (
    kill,
    make_settings,
    running,
    wait_for,
    wait_for_status,
)
from tests.receiver import receiver
from tests.services import Overrides


def test_the_end_of_a_job_is_told_though_its_worker_died_telling(
    tmp_path: Path, of_database: Overrides
) -> None:
    with receiver() as server:
        settings = make_settings(
            tmp_path,
            of_database,
            poll_seconds=0.2,
            outgoing_hosts=("127.0.0.1",),
            outgoing_ports=(server.port,),
        )
        database = Database(settings.resolved_database_url)
        project = build.project(database)
        with database.write() as session:
            row = webhooks.create(
                session,
                project,
                url=server.address,
                event_types=webhooks.EVENT_TYPES,
                description=None,
                secret=new_secret(),
            )
        server.hold.clear()  # the first worker waits for an answer that it will not live to see
        with running(settings, tmp_path) as worker:
            job = build.job(database, project)
            wait_for_status(database, job, "succeeded")
            wait_for(lambda: server.received or None)
            kill(worker.pid)
            worker.process.wait()
        server.hold.set()
        with database.write() as session:
            webhooks.change(session, project, row.id, lease_until=0.0)  # time passes
        with running(settings, tmp_path, "second") as worker:
            wait_for(lambda: len(server.received) == 2 or None)
            assert worker.stop() == 0
        assert len(set(server.ids)) == 1
        content = Webhook(row.secret).verify(server.received[1].body, server.received[1].headers)
        assert (content["type"], content["data"]) == ("fine_tuning.job.succeeded", {"id": job.id})
        database.close()
