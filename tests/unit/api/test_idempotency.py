"""POSTs that arrive twice make one thing: by key, and by the OpenAI SDK's count of its tries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from openai import OpenAI
from sqlalchemy import func, select
from structlog.testing import capture_logs

from api.app import create_app
from core.records import idempotency
from core.records.tables import IdempotentRequest
from tests.api_service import Service, add_base, add_key, dataset, make_settings, prepare
from tests.dropping_proxy import DroppingProxy, dropping_proxy
from tests.live_api import live

JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture(scope="module")
def job_body(service: Service) -> dict[str, Any]:
    add_base(service.database, service.store)
    return {"model": "base:tiny", "training_file": service.upload(dataset())["id"]}


def count(service: Service, path: str = JOBS) -> int:
    return len(service.client.get(path, params={"limit": 1000}).json()["data"])


def remembered(service: Service) -> int:
    with service.database.read() as session:
        return session.execute(select(func.count()).select_from(IdempotentRequest)).scalar_one()


class TestAKey:
    def test_is_answered_as_before(self, service: Service, job_body: dict[str, Any]) -> None:
        before = count(service)
        headers = {"idempotency-key": "one"}
        first = service.client.post(JOBS, json=job_body, headers=headers)
        again = service.client.post(JOBS, json=dict(reversed(job_body.items())), headers=headers)
        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert count(service) == before + 1

    def test_of_another_request_is_a_conflict_that_no_client_repeats(
        self, service: Service, job_body: dict[str, Any]
    ) -> None:
        headers = {"idempotency-key": "two"}
        assert service.client.post(JOBS, json=job_body, headers=headers).status_code == 200
        before = count(service)
        other = service.client.post(JOBS, json={**job_body, "seed": 9}, headers=headers)
        assert (other.status_code, other.headers["x-should-retry"]) == (409, "false")
        assert other.json()["error"]["code"] == "idempotency_key_reused"
        elsewhere = service.client.post("/v1/comparisons", json={}, headers=headers)
        assert elsewhere.status_code == 400  # judged before the key, as any bad request
        assert count(service) == before

    def test_of_a_running_request_is_a_conflict_to_repeat(
        self, service: Service, job_body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inside, leave = threading.Event(), threading.Event()
        resolve = __import__("api.routes.jobs", fromlist=["resolve_job"]).resolve_job

        def slowly(*args: Any, **options: Any) -> Any:
            inside.set()
            assert leave.wait(20)
            return resolve(*args, **options)

        monkeypatch.setattr("api.routes.jobs.resolve_job", slowly)
        headers = {"idempotency-key": "three"}
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(service.client.post(JOBS, json=job_body, headers=headers))
        )
        thread.start()
        assert inside.wait(20)
        busy = service.client.post(JOBS, json=job_body, headers=headers)
        leave.set()
        thread.join()
        assert (busy.status_code, busy.json()["error"]["code"]) == (409, "busy")
        assert (busy.headers["x-should-retry"], busy.headers["retry-after"]) == ("true", "1")
        again = service.client.post(JOBS, json=job_body, headers=headers)
        assert again.json() == answers[0].json()

    def test_of_a_refused_request_may_be_used_for_a_better_one(
        self, service: Service, job_body: dict[str, Any]
    ) -> None:
        headers = {"idempotency-key": "four"}
        wrong = {**job_body, "model": "base:none"}
        before = remembered(service)
        assert service.client.post(JOBS, json=wrong, headers=headers).status_code == 400
        assert remembered(service) == before
        assert service.client.post(JOBS, json=job_body, headers=headers).status_code == 200
        assert remembered(service) == before + 1

    def test_of_a_refused_upload_is_not_remembered_either(self, service: Service) -> None:
        headers = {"idempotency-key": "seven"}
        before = remembered(service)
        for content, status in ((b"no archive", 400), (dataset(seed=40), 200)):
            answer = service.client.post(
                "/v1/files",
                data={"purpose": "fine-tune"},
                files={"file": ("a.zip", content)},
                headers=headers,
            )
            assert answer.status_code == status, answer.text
        assert remembered(service) == before + 1

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
    def test_of_no_key_s_form_is_refused(
        self, service: Service, job_body: dict[str, Any], key: str
    ) -> None:
        answer = service.client.post(JOBS, json=job_body, headers={"idempotency-key": key.encode()})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_idempotency_key"

    def test_works_for_every_post_that_makes_something(
        self, service: Service, job_body: dict[str, Any]
    ) -> None:
        comparison = {**job_body, "methods": ["ft"]}
        makes: list[Callable[[dict[str, str]], Any]] = [
            lambda h: service.client.post(JOBS, json=job_body, headers=h),
            lambda h: service.client.post("/v1/comparisons", json=comparison, headers=h),
            lambda h: service.client.post(
                "/v1/files",
                data={"purpose": "user_data"},
                files={"file": ("a.txt", b"content")},  # with another boundary each time
                headers=h,
            ),
        ]
        for number, make in enumerate(makes):
            headers = {"idempotency-key": f"every-{number}"}
            first, again = make(headers), make(headers)
            assert first.status_code == 200, first.text
            assert first.json() == again.json()
            assert again.headers["idempotent-replayed"] == "true"

    def test_is_each_api_keys_own(self, service: Service, job_body: dict[str, Any]) -> None:
        _, other = add_key(service.database, "default")
        headers = {"idempotency-key": "five"}
        first = service.client.post(JOBS, json=job_body, headers=headers).json()
        headers["authorization"] = f"Bearer {other}"
        assert service.client.post(JOBS, json=job_body, headers=headers).json()["id"] != first["id"]

    def test_nothing_is_kept_of_what_an_answer_could_not_be_written_for(
        self, service: Service, job_body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The job and its answer are one transaction."""
        before = count(service)

        def fail(*_: Any) -> None:
            raise RuntimeError

        with monkeypatch.context() as patch, capture_logs():  # unset, they draw every local
            patch.setattr(idempotency, "answer", fail)
            headers = {"idempotency-key": "six"}
            assert service.client.post(JOBS, json=job_body, headers=headers).status_code == 500
        assert count(service) == before
        assert service.client.post(JOBS, json=job_body, headers=headers).status_code == 200
        assert count(service) == before + 1


@dataclass
class Behind:
    """A service behind a proxy that loses replies."""

    service: Service
    proxy: DroppingProxy

    def sdk(self, **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.proxy.address}/v1", api_key=self.service.key, **options)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    settings = make_settings(tmp_path_factory.mktemp("behind"))
    database, store, project_id, key = prepare(settings)
    add_base(database, store)
    client: Any = None  # everything goes over the wire
    with live(create_app(settings)) as address, dropping_proxy(address) as proxy:
        yield Behind(Service(settings, database, store, project_id, key, client), proxy)
    database.close()


class TestALostReply:
    """The server commits, the reply is lost, and the unmodified SDK tries again."""

    def test_of_a_job_makes_one_job(self, behind: Behind) -> None:
        sdk = behind.sdk()
        file = sdk.files.create(file=("a.zip", dataset(seed=10)), purpose="fine-tune")
        behind.proxy.drops, dropped = 2, behind.proxy.dropped
        job = sdk.fine_tuning.jobs.create(model="base:tiny", training_file=file.id, seed=5)
        assert behind.proxy.dropped == dropped + 2
        mine = [each for each in sdk.fine_tuning.jobs.list() if each.training_file == file.id]
        assert [each.id for each in mine] == [job.id]

    def test_of_an_upload_makes_one_file(self, behind: Behind) -> None:
        sdk = behind.sdk()
        behind.proxy.drops = 1
        file = sdk.files.create(file=("b.txt", b"twice"), purpose="user_data")
        named = [each.id for each in sdk.files.list() if each.filename == "b.txt"]
        assert named == [file.id]

    def test_of_a_cancel_is_no_conflict(self, behind: Behind) -> None:
        sdk = behind.sdk()
        file = sdk.files.create(file=("c.zip", dataset(seed=20)), purpose="fine-tune")
        job = sdk.fine_tuning.jobs.create(model="base:tiny", training_file=file.id)
        behind.proxy.drops = 1
        assert sdk.fine_tuning.jobs.cancel(job.id).status == "cancelled"
        with pytest.raises(openai.ConflictError):  # a cancel of its own is one, as ever
            sdk.fine_tuning.jobs.cancel(job.id)

    def test_is_no_matter_to_two_jobs_that_were_meant(self, behind: Behind) -> None:
        sdk = behind.sdk()
        file = sdk.files.create(file=("d.zip", dataset(seed=30)), purpose="fine-tune")
        first = sdk.fine_tuning.jobs.create(model="base:tiny", training_file=file.id)
        behind.proxy.drops = 1
        second = sdk.fine_tuning.jobs.create(model="base:tiny", training_file=file.id)
        mine = [each for each in sdk.fine_tuning.jobs.list() if each.training_file == file.id]
        assert {each.id for each in mine} == {first.id, second.id}
        assert len(mine) == 2
