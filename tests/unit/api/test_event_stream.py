"""Events as a stream: the rows that polling reads, from anywhere, to the end, for many at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import event as sqlalchemy_event

from api import event_stream, events, streams
from api.app import create_app
from core.records import jobs, keys
from core.records.tables import Job
from tests import service_builders as build
from tests.api_service import Service, add_key, make_settings, prepare
from tests.live_api import live
from tests.service_builders import HASHING
from tests.unit.api.streamed import JOBS, Live, Sent, finish, read, running_live, say


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Live]:
    with running_live(tmp_path) as opened:
        yield opened


class TestAnEndedJob:
    @pytest.fixture
    def job(self, fresh: Service) -> Job:
        job = build.job(fresh.database, fresh.project_id)
        finish(fresh, job)
        return job

    def test_is_the_rows_that_polling_reads_and_an_end(self, fresh: Service, job: Job) -> None:
        path = f"{JOBS}/{job.id}/events"
        polled = fresh.client.get(path, params={"order": "asc", "limit": 100}).json()["data"]
        answer = fresh.client.get(path, headers={"accept": "text/event-stream"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        *sent, last = read(iter(answer.text.split("\n")))
        assert [item.data for item in sent] == polled
        assert [item.id for item in sent] == [str(item["sequence"]) for item in polled]
        assert {item.event for item in sent} == {"message"}
        assert last == Sent("done", "done", {"fine_tuning_job_id": job.id, "status": "succeeded"})

    @pytest.mark.parametrize("form", ["header", "sequence", "id"])
    def test_goes_on_after_the_last_event_seen(self, fresh: Service, job: Job, form: str) -> None:
        path = f"{JOBS}/{job.id}/events"
        if form == "header":  # wins over the address, which a browser repeats as it was
            answer = fresh.client.get(
                path, params={"stream": True, "after": "1"}, headers={"last-event-id": "2"}
            )
        else:
            after = "2" if form == "sequence" else f"ftevent-{job.id.removeprefix('ftjob-')}-2"
            answer = fresh.client.get(path, params={"stream": True, "after": after})
        assert [item.id for item in read(iter(answer.text.split("\n")))] == ["3", "done"]

    def test_says_the_end_again_to_who_missed_it_and_no_more_to_who_saw_it(
        self, fresh: Service, job: Job
    ) -> None:
        path = f"{JOBS}/{job.id}/events?stream=true"
        missed = fresh.client.get(path, headers={"last-event-id": "3"})
        assert [item.id for item in read(iter(missed.text.split("\n")))] == ["done"]
        seen = fresh.client.get(path, headers={"last-event-id": "done"})
        assert (seen.status_code, seen.content) == (204, b"")

    def test_an_id_of_another_kind_is_refused(self, fresh: Service, job: Job) -> None:
        answer = fresh.client.get(
            f"{JOBS}/{job.id}/events?stream=true", headers={"last-event-id": "x"}
        )
        assert answer.status_code == 400

    def test_an_id_is_judged_where_it_is_not_needed_too(self, fresh: Service, job: Job) -> None:
        path = f"{JOBS}/{job.id}/events"
        assert fresh.client.get(path, headers={"last-event-id": "x"}).status_code == 400
        assert fresh.client.get(path, headers={"last-event-id": "2"}).status_code == 200
        assert fresh.client.get(path, headers={"last-event-id": "done"}).status_code == 200

    @pytest.mark.parametrize("stream", [True, False])
    def test_an_event_of_another_job_is_none_to_go_on_from(
        self, fresh: Service, job: Job, stream: bool
    ) -> None:
        query = {"stream": stream, "after": "ftevent-another-2"}
        answer = fresh.client.get(f"{JOBS}/{job.id}/events", params=query)
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "after")

    def test_foreign_and_unknown_jobs_look_the_same(self, fresh: Service, job: Job) -> None:
        _, other = add_key(fresh.database, "other")
        foreign = fresh.client.get(
            f"{JOBS}/{job.id}/events?stream=true", headers={"authorization": f"Bearer {other}"}
        )
        never = fresh.client.get(f"{JOBS}/ftjob-none/events?stream=true")
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(job.id, "ftjob-none") == never.text


class TestALiveJob:
    def test_events_come_as_they_are_written_and_end_with_the_job(self, running: Live) -> None:
        job = build.job(running.service.database, running.service.project_id)
        with httpx.stream("GET", running.url(job), headers=running.headers()) as answer:
            sent = read(answer.iter_lines())
            assert next(sent).data["message"] == f"Created fine-tuning job: {job.id}"
            for number in range(3):
                written = time.monotonic()
                say(running.service, job, f"number {number}")
                assert next(sent).data["message"] == f"number {number}"
                assert time.monotonic() - written < 2.0
            finish(running.service, job)
            assert [item.event for item in sent][-1] == "done"
        running.wait_for_watchers(0)

    def test_a_job_that_is_quiet_shows_that_it_is_watched(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
        job = build.job(running.service.database, running.service.project_id)
        with httpx.stream("GET", running.url(job), headers=running.headers()) as answer:
            comments = (line for line in answer.iter_lines() if line.startswith(":"))
            assert [next(comments) for _ in range(3)] == [": still here"] * 3

    def test_openais_reader_takes_a_quiet_stream(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To it an empty line after a comment, or after `retry`, is an event that is no JSON."""
        monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.02)
        job = build.job(running.service.database, running.service.project_id)
        with httpx.stream("GET", running.url(job), headers=running.headers()) as answer:
            chunks = answer.iter_raw()
            received = b""
            while received.count(b": still here") < 3:
                received += next(chunks)
            finish(running.service, job)
            received += b"".join(chunks)
        read_by_sdk = list(openai.OpenAI(api_key="-")._make_sse_decoder().iter_bytes([received]))
        assert {event.event for event in read_by_sdk} == {"message", "done"}
        *said, last = [event.json() for event in read_by_sdk]
        assert [event["sequence"] for event in said] == list(range(1, len(said) + 1))
        assert last == {"fine_tuning_job_id": job.id, "status": "succeeded"}

    def test_a_client_that_leaves_is_forgotten(self, running: Live) -> None:
        job = build.job(running.service.database, running.service.project_id)
        with httpx.stream("GET", running.url(job), headers=running.headers()) as answer:
            next(answer.iter_lines())
            running.wait_for_watchers(1)
        running.wait_for_watchers(0)

    def test_a_slow_reader_misses_nothing_and_nothing_is_kept_for_it(self, running: Live) -> None:
        job = build.job(running.service.database, running.service.project_id)
        with _reader(running, job) as slow:
            running.wait_for_watchers(1)
            for _ in range(50):
                say(running.service, job, *["x" * 4000] * 40)
            channel = running.feed._channels[job.id]
            deadline = time.monotonic() + 20
            while channel.last < 2001:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert len(channel._recent) <= 256
            assert channel._recent[0][0] > 1000  # gone from there: it must read the table
            with running.service.database.write() as session:
                jobs.request_cancel(session, running.service.project_id, job.id)
            sent = list(read(slow))
        assert [item.id for item in sent[:-1]] == [str(n) for n in range(1, len(sent))]
        assert sent[-1].data["status"] == "cancelled"

    def test_a_client_that_never_reads_is_dropped(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "SEND_SECONDS", 0.2)
        job = build.job(running.service.database, running.service.project_id)
        with _reader(running, job):
            running.wait_for_watchers(1)
            for _ in range(50):
                say(running.service, job, *["x" * 4000] * 40)
            running.wait_for_watchers(0)

    def test_a_key_that_is_revoked_ends_its_streams(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "KEY_SECONDS", 0.0)
        service = running.service
        job = build.job(service.database, service.project_id)
        with service.database.write() as session:
            key, secret = keys.create(
                session, service.project_id, "short-lived", HASHING, scopes=["jobs:read"]
            )
        headers = {"authorization": f"Bearer {secret}"}
        with (
            httpx.stream("GET", running.url(job), headers=headers) as short,
            httpx.stream("GET", running.url(job), headers=running.headers()) as other,
        ):
            running.wait_for_watchers(2)
            with service.database.write() as session:
                keys.revoke(session, service.project_id, key.id)
            assert [item.event for item in read(short.iter_lines())] == ["message"]
            assert running.watchers() == 1
            say(service, job, "still told")
            sent = read(other.iter_lines())
            assert [next(sent).data["sequence"] for _ in range(2)] == [1, 2]

    def test_many_watchers_cost_the_database_no_more_than_one(self, running: Live) -> None:
        job = build.job(running.service.database, running.service.project_id)
        asked: list[str] = []
        engine = running.feed._database.engine

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "next_event_sequence" in statement:
                asked.append(statement)

        opened = [_reader(running, job) for _ in range(50)]
        running.wait_for_watchers(50)
        sqlalchemy_event.listen(engine, "before_cursor_execute", note)
        began = time.monotonic()
        time.sleep(1.0)
        looks = len(asked)
        seconds = time.monotonic() - began
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)
        for reader in opened:
            reader.close()
        assert 1 <= looks <= seconds / events.POLL_SECONDS + 2

    def test_a_process_takes_only_so_many(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "MAX_WATCHERS", 1)
        job = build.job(running.service.database, running.service.project_id)
        with _reader(running, job):
            running.wait_for_watchers(1)
            refused = httpx.get(running.url(job), headers=running.headers())
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_watchers")
        assert refused.headers["retry-after"]

    def test_it_outlives_a_database_that_does_not_answer(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "RETRY_SECONDS", 0.05)
        job = build.job(running.service.database, running.service.project_id)
        with httpx.stream("GET", running.url(job), headers=running.headers()) as answer:
            sent = read(answer.iter_lines())
            next(sent)
            path = Path(running.service.settings.data_dir / "lipsum.db")
            hidden = path.with_suffix(".hidden")
            running.feed._database.engine.dispose()
            path.rename(hidden)
            path.mkdir()
            time.sleep(0.6)
            path.rmdir()
            hidden.rename(path)
            say(running.service, job, "after the outage")
            assert next(sent).data["message"] == "after the outage"


def test_streams_end_when_the_process_stops(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    database, _, project_id, key = prepare(settings)
    job = build.job(database, project_id)
    app = create_app(settings)
    ended = threading.Event()

    def watch(address: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{address}{JOBS}/{job.id}/events?stream=true"
        with httpx.stream("GET", url, headers=headers) as answer:
            assert [item.event for item in read(answer.iter_lines())] == ["message"]
        ended.set()

    with live(app) as address:
        thread = threading.Thread(target=watch, args=(address,))
        thread.start()
        while not app.state.services.feed._watches:
            time.sleep(0.01)
        began = time.monotonic()
    thread.join(5)
    assert ended.is_set()
    assert time.monotonic() - began < 3.0  # not the grace that requests get
    database.close()


class _reader:
    """A connection that has asked for the stream and reads only when it is iterated."""

    def __init__(self, running: Live, job: Job) -> None:
        host, port = running.address.removeprefix("http://").split(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._socket.connect((host, int(port)))
        path = running.url(job).removeprefix(running.address)
        head = f"GET {path} HTTP/1.0\r\nhost: {host}\r\nauthorization: Bearer {running.service.key}"
        self._socket.sendall(f"{head}\r\n\r\n".encode())

    def __enter__(self) -> Iterator[str]:
        file = self._socket.makefile("rb")
        return (line.decode().rstrip("\n") for line in file)

    def __exit__(self, *_fault: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
