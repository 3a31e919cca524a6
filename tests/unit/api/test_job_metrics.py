"""Step metrics: the rows in order, in pages, and as they come between a job's events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import events
from core.jobs.messages import Metrics
from core.records import jobs, metrics
from core.records.tables import Job
from tests import service_builders as build
from tests.api_service import Service, add_key
from tests.unit.api.streamed import JOBS, Live, finish, read, running_live, say

Rows = list[dict[str, Any]]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Live]:
    with running_live(tmp_path) as opened:
        yield opened


def measure(service: Service, job: Job, steps: Sequence[int], seed: int = 0) -> Rows:
    """Metrics of these steps as a worker writes them; what a client should see of them."""
    reports = [
        Metrics(seed=seed, step=step, values={"loss": 1 / (step + 1), "penalty": 0.25 * step})
        for step in steps
    ]
    with service.database.write() as session:
        row = jobs.get(session, service.project_id, job.id)
        metrics.write(session, row, reports, repeatable=True)
    return [report.model_dump(include={"seed", "step", "values"}) for report in reports]


class TestPages:
    @pytest.fixture
    def job(self, fresh: Service) -> Job:
        return build.job(fresh.database, fresh.project_id)

    def test_they_come_by_seed_and_step(self, fresh: Service, job: Job) -> None:
        second = measure(fresh, job, range(3), seed=1)
        first = measure(fresh, job, [10, 2, 0])
        answer = fresh.client.get(f"{JOBS}/{job.id}/metrics").json()
        assert answer == {
            "object": "list",
            "data": [*sorted(first, key=lambda row: int(row["step"])), *second],
            "has_more": False,
        }

    def test_pages_follow_one_another(self, fresh: Service, job: Job) -> None:
        written = measure(fresh, job, range(7)) + measure(fresh, job, range(4), seed=3)
        found: Rows = []
        after = "start"
        for has_more in (True, True, True, False):
            page = fresh.client.get(
                f"{JOBS}/{job.id}/metrics", params={"after": after, "limit": 3}
            ).json()
            assert page["has_more"] == has_more
            found += page["data"]
            after = f"{found[-1]['seed']}.{found[-1]['step']}"
        assert found == written

    def test_a_value_that_was_no_number_is_null(self, fresh: Service, job: Job) -> None:
        with fresh.database.write() as session:
            row = jobs.get(session, fresh.project_id, job.id)
            report = Metrics(seed=0, step=0, values={"loss": float("nan")})
            metrics.write(session, row, [report], repeatable=True)
        (step,) = fresh.client.get(f"{JOBS}/{job.id}/metrics").json()["data"]
        assert step["values"] == {"loss": None}

    @pytest.mark.parametrize("after", ["", "x", "1", "1.2.3", "-1.0", "0.", "99999999999.0"])
    def test_a_place_that_is_none_is_refused(self, fresh: Service, job: Job, after: str) -> None:
        for path in ("metrics", "events"):
            query = {"after" if path == "metrics" else "metrics": after}
            answer = fresh.client.get(f"{JOBS}/{job.id}/{path}", params=query)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, *query)

    def test_anothers_job_is_none(self, fresh: Service, job: Job) -> None:
        measure(fresh, job, range(3))
        _, other = add_key(fresh.database, "other")
        answer = fresh.client.get(
            f"{JOBS}/{job.id}/metrics", headers={"authorization": f"Bearer {other}"}
        )
        assert answer.status_code == 404


class TestStream:
    def test_of_an_ended_job_all_is_there_before_the_end(
        self, fresh: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "_STEPS", 4)  # a page
        job = build.job(fresh.database, fresh.project_id)
        written = measure(fresh, job, range(10))
        finish(fresh, job)
        answer = fresh.client.get(f"{JOBS}/{job.id}/events?stream=true&metrics=start")
        sent = list(read(iter(answer.text.split("\n"))))
        assert [item.data for item in sent if item.event == "metrics"] == written
        assert {item.id for item in sent if item.event == "metrics"} == {None}
        assert sent[-1].event == "done"
        assert [item.id for item in sent if item.event == "message"] == ["1", "2", "3"]

    def test_it_goes_on_after_the_last_step_seen(self, fresh: Service) -> None:
        job = build.job(fresh.database, fresh.project_id)
        written = measure(fresh, job, range(5)) + measure(fresh, job, range(2), seed=1)
        finish(fresh, job)
        answer = fresh.client.get(f"{JOBS}/{job.id}/events?stream=true&after=3&metrics=0.3")
        sent = list(read(iter(answer.text.split("\n"))))
        assert [item.data for item in sent[:-1]] == written[4:]

    def test_nobody_gets_them_unasked(self, fresh: Service) -> None:
        job = build.job(fresh.database, fresh.project_id)
        measure(fresh, job, range(5))
        finish(fresh, job)
        answer = fresh.client.get(f"{JOBS}/{job.id}/events?stream=true")
        assert "event: metrics" not in answer.text

    def test_they_come_as_they_are_measured(self, running: Live) -> None:
        service = running.service
        job = build.job(service.database, service.project_id)
        url = f"{running.url(job)}&metrics=start"
        with httpx.stream("GET", url, headers=running.headers()) as answer:
            sent = read(answer.iter_lines())
            assert next(sent).event == "message"
            for step in range(3):
                (written,) = measure(service, job, [step])
                found = next(sent)
                assert (found.event, found.data) == ("metrics", written)
            say(service, job, "in between")
            assert next(sent).data["message"] == "in between"
            last = measure(service, job, range(3, 9))
            finish(service, job)
            rest = list(sent)
        assert [item.data for item in rest if item.event == "metrics"] == last
        assert rest[-1].event == "done"

    def test_a_page_is_read_once_for_all_who_are_as_far(
        self, running: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = running.service
        job = build.job(service.database, service.project_id)
        read_pages: list[tuple[int, int]] = []
        list_steps = metrics.list_steps

        def counted(session: Any, job_id: str, after: metrics.Place, limit: int) -> Any:
            read_pages.append(after)
            return list_steps(session, job_id, after, limit)

        monkeypatch.setattr(events.metrics, "list_steps", counted)
        url = f"{running.url(job)}&metrics=start"
        opened = [httpx.Client(headers=running.headers()) for _ in range(10)]
        streams = [client.stream("GET", url) for client in opened]
        readers = [read(stream.__enter__().iter_lines()) for stream in streams]
        for reader in readers:
            next(reader)
        for step in range(3):
            (written,) = measure(service, job, [step])
            assert [next(reader).data for reader in readers] == [written] * 10
        assert read_pages == [metrics.BEGINNING, (0, 0), (0, 1)]
        for stream, client in zip(streams, opened, strict=True):
            stream.__exit__(None, None, None)
            client.close()
