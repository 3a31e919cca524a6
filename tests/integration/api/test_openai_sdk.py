"""The `openai` SDK, unmodified, against the API on a real port."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.api_service import dataset
from tests.integration.running import Running


@pytest.fixture
def client(running: Running) -> OpenAI:
    return running.openai()


@pytest.fixture(scope="module")
def training_file(running: Running) -> str:
    created = running.openai().files.create(file=("a.zip", dataset()), purpose="fine-tune")
    return created.id


def test_the_life_of_a_file(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(dataset(seed=77))
    created = client.files.create(file=path, purpose="fine-tune")
    assert (created.object, created.filename, created.bytes) == (
        "file",
        "images.zip",
        path.stat().st_size,
    )
    assert client.files.retrieve(created.id) == created
    content = client.files.content(created.id)
    assert hashlib.sha256(content.read()).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert created.id in {file.id for file in client.files.list(purpose="fine-tune")}
    assert client.files.delete(created.id).deleted is True
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve(created.id)
    assert caught.value.code == "not_found"
    assert caught.value.request_id


def test_a_file_of_many_pieces(client: OpenAI) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB: many reads, several writes
    created = client.files.create(file=("large.bin", data), purpose="user_data")
    assert client.files.content(created.id).read() == data


def test_lists_page_by_themselves(client: OpenAI) -> None:
    made = [
        client.files.create(file=(f"{n}.txt", b"%d" % n), purpose="user_data").id for n in range(5)
    ]
    seen = [file.id for file in client.files.list(purpose="user_data", limit=2, order="asc")]
    assert [file for file in seen if file in made] == made


def test_the_life_of_a_job(client: OpenAI, training_file: str) -> None:
    method: Any = {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": {"n_epochs": 2}}}
    job = client.fine_tuning.jobs.create(
        model="base:tiny",
        training_file=training_file,
        method=method,
        seed=3,
        suffix="mine",
        metadata={"team": "birds"},
        extra_body={"evaluation": {"alphas": [0.5]}, "n_seeds": 2},
    )
    assert (job.status, job.seed, job.metadata) == ("validating_files", 3, {"team": "birds"})
    assert job.hyperparameters.n_epochs == 2
    assert job.model_extra is not None
    assert job.model_extra["n_seeds"] == 2

    again = client.fine_tuning.jobs.retrieve(job.id)
    assert again.id == job.id
    assert job.id in {listed.id for listed in client.fine_tuning.jobs.list(limit=1)}
    mine = client.fine_tuning.jobs.list(metadata={"team": "birds"})
    assert job.id in {listed.id for listed in mine}
    assert list(client.fine_tuning.jobs.list(metadata={"team": "nobody"})) == []

    events = client.fine_tuning.jobs.list_events(job.id, limit=1)
    assert [event.message for event in events] == [f"Created fine-tuning job: {job.id}"]
    assert list(client.fine_tuning.jobs.checkpoints.list(job.id)) == []

    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError) as caught:
        client.fine_tuning.jobs.cancel(job.id)
    assert caught.value.code == "job_already_ended"
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=1)]
    assert messages == ["The job was cancelled.", f"Created fine-tuning job: {job.id}"]


def test_a_job_is_paused_resumed_and_cancelled(client: OpenAI, training_file: str) -> None:
    job = client.fine_tuning.jobs.create(model="base:tiny", training_file=training_file)
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"  # type: ignore[comparison-overlap]
    assert client.fine_tuning.jobs.pause(job.id).id == job.id
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    cancelled = client.fine_tuning.jobs.cancel(job.id, extra_body={"keep_checkpoint": True})
    assert cancelled.status == "cancelled"  # it has none yet
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.resume(job.id)


def test_models(client: OpenAI, running: Running) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"base:tiny", running.fine_tuned} <= listed.keys()
    assert client.models.retrieve(running.fine_tuned) == listed[running.fine_tuned]


class TestTypedErrors:
    def test_no_such_thing(self, client: OpenAI) -> None:
        for call in (
            lambda: client.files.retrieve("file-none"),
            lambda: client.fine_tuning.jobs.retrieve("ftjob-none"),
            lambda: client.models.retrieve("base:none"),
            lambda: client.fine_tuning.jobs.list_events("ftjob-none"),
        ):
            with pytest.raises(openai.NotFoundError):
                call()

    def test_a_wrong_key(self, running: Running) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            running.openai("wrong").models.list()
        assert caught.value.code == "invalid_api_key"

    def test_a_wrong_key_with_a_large_body(self, running: Running) -> None:
        with pytest.raises(openai.AuthenticationError):
            running.openai("wrong").files.create(
                file=("a.bin", bytes(20_000_000)), purpose="user_data"
            )

    def test_a_bad_request(self, client: OpenAI, training_file: str) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=training_file)
        assert (caught.value.code, caught.value.param) == ("unknown_model", "model")
        assert "base:tiny" in caught.value.message

    def test_a_bad_archive(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(file=("a.zip", b"no archive"), purpose="fine-tune")
        assert (caught.value.code, caught.value.param) == ("not_an_archive", "file")

    def test_a_refusal_while_the_body_is_still_on_its_way(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(file=("a.bin", bytes(20_000_000)), purpose="assistants")
        assert caught.value.code == "unknown_purpose"

    def test_a_base_is_not_deleted(self, client: OpenAI) -> None:
        with pytest.raises(openai.PermissionDeniedError):
            client.models.delete("base:tiny")
