"""Logs over HTTP: as a file with ranges, and followed to the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from core.records import job_logs, jobs, leases
from core.records.engine import Database
from core.records.job_logs import KEEP_BYTES
from core.records.leases import Claim
from core.settings import MIB
from tests import service_builders as build
from tests.api_service import Service, add_key, make_settings, prepare
from tests.live_api import live

JOBS = "/v1/fine_tuning/jobs"


def hold(database: Database, project_id: str) -> Claim:
    build.job(database, project_id)
    return build.claim(database)


def append(database: Database, held: Claim, data: bytes) -> None:
    with database.write() as session:
        job_logs.append(session, held, data)


@pytest.fixture
def held(fresh: Service) -> Claim:
    return hold(fresh.database, fresh.project_id)


class TestTheFile:
    def test_is_text_and_grows(self, fresh: Service, held: Claim) -> None:
        path = f"{JOBS}/{held.job_id}/logs"
        empty = fresh.client.get(path)
        assert (empty.status_code, empty.content) == (200, b"")
        append(fresh.database, held, "größer\n".encode())
        answer = fresh.client.get(path)
        assert answer.text == "größer\n"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-length"] == str(len("größer\n".encode()))

    def test_ranges_and_resumption(self, fresh: Service, held: Claim) -> None:
        path = f"{JOBS}/{held.job_id}/logs"
        data = bytes(range(32, 127)) * 3000  # several rows
        append(fresh.database, held, data)
        whole = fresh.client.get(path)
        assert whole.content == data
        etag = whole.headers["etag"]
        part = fresh.client.get(path, headers={"range": "bytes=70000-70009", "if-range": etag})
        assert (part.status_code, part.content) == (206, data[70000:70010])
        assert part.headers["content-range"] == f"bytes 70000-70009/{len(data)}"
        tail = fresh.client.get(path, headers={"range": "bytes=-7"})
        assert tail.content == data[-7:]
        assert fresh.client.get(path, headers={"if-none-match": etag}).status_code == 304
        append(fresh.database, held, b"more\n")
        grown = fresh.client.get(path, headers={"range": "bytes=5-", "if-range": etag})
        assert (grown.status_code, grown.content) == (200, data + b"more\n")
        beyond = fresh.client.get(path, headers={"range": f"bytes={len(data) + 5}-"})
        assert beyond.status_code == 416

    def test_is_the_last_ten_megabytes(self, fresh: Service, held: Claim) -> None:
        for number in range(12):
            append(fresh.database, held, bytes([97 + number]) * MIB)
        answer = fresh.client.get(f"{JOBS}/{held.job_id}/logs")
        assert KEEP_BYTES <= len(answer.content) <= KEEP_BYTES + MIB
        assert answer.content.endswith(b"l" * MIB)

    @pytest.mark.parametrize("suffix", ["", "?follow=true"])
    def test_foreign_and_unknown_ones_look_the_same(
        self, fresh: Service, held: Claim, suffix: str
    ) -> None:
        _, other = add_key(fresh.database, "other")
        foreign = fresh.client.get(
            f"{JOBS}/{held.job_id}/logs{suffix}", headers={"authorization": f"Bearer {other}"}
        )
        never = fresh.client.get(f"{JOBS}/ftjob-none/logs{suffix}")
        assert foreign.status_code == never.status_code == 404
        assert foreign.text.replace(held.job_id, "ftjob-none") == never.text


class TestFollowing:
    @pytest.fixture
    def running(self, tmp_path: Path) -> Iterator[Service]:
        settings = make_settings(tmp_path)
        database, store, project_id, key = prepare(settings)
        with (
            live(create_app(settings)) as address,
            httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}) as client,
        ):
            yield Service(settings, database, store, project_id, key, client)  # type: ignore[arg-type]
        database.close()

    def test_goes_on_until_the_job_has_ended(self, running: Service) -> None:
        held = hold(running.database, running.project_id)
        append(running.database, held, b"first\n")
        seen = bytearray()

        def follow() -> None:
            url = f"{JOBS}/{held.job_id}/logs?follow=true"
            with running.client.stream("GET", url, timeout=30) as answer:
                for data in answer.iter_raw():
                    seen.extend(data)

        thread = threading.Thread(target=follow)
        thread.start()
        for word in (b"second\n", b"third\n"):
            self._wait_for(seen, b"\n")
            before = len(seen)
            append(running.database, held, word)
            self._wait_for((seen[before:] and seen) or seen, word)
        with running.database.write() as session:
            job_logs.append(session, held, b"last\n")
            leases.fail(session, held, "invalid_dataset", "no", max_attempts=1)
        thread.join(20)
        assert not thread.is_alive()
        assert bytes(seen) == b"first\nsecond\nthird\nlast\n"

    def test_goes_on_from_an_offset(self, running: Service) -> None:
        held = hold(running.database, running.project_id)
        append(running.database, held, b"first\nsecond\n")
        with running.database.write() as session:
            jobs.request_cancel(session, running.project_id, held.job_id)
            leases.stop_cancelled(session, held)
        url = f"{JOBS}/{held.job_id}/logs"
        answers = [
            running.client.get(url, params={"follow": True, "offset": offset}).text
            for offset in (0, 6, 13, 99)
        ]
        assert answers == ["first\nsecond\n", "second\n", "", ""]

    def test_skips_what_is_not_kept_any_more(self, running: Service) -> None:
        held = hold(running.database, running.project_id)
        for number in range(12):
            append(running.database, held, bytes([97 + number]) * MIB)
        with running.database.write() as session:
            leases.fail(session, held, "invalid_dataset", "no", max_attempts=1)
        answer = running.client.get(f"{JOBS}/{held.job_id}/logs?follow=true", timeout=30)
        assert KEEP_BYTES <= len(answer.content) <= KEEP_BYTES + MIB

    def _wait_for(self, seen: bytearray, word: bytes) -> None:
        deadline = time.monotonic() + 20
        while word not in seen:
            assert time.monotonic() < deadline, bytes(seen)
            time.sleep(0.01)
