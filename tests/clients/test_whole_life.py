"""A project's whole life through `openai` and `huggingface_hub`, unmodified, sync and async.

A file in chunks, a job that is streamed, paused and resumed, one that is cancelled, checkpoints,
answers, downloads, deletion: nothing here knows more of the service than its address and a key.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from huggingface_hub.errors import HfHubHTTPError

from cli.service import Service
from tests.clients.flavours import (
    ASYNC,
    SYNC,
    done,
    every,
    inference_client,
    openai_client,
    stream_kind,
)
from tests.jobs import colour_archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CLASSES = ["ant", "bee", "cat"]
N_STEPS = 1000
FEW_BYTES = 10_000  # of an upload's part: some twenty parts


@dataclass(frozen=True)
class Life:
    """One flavour's clients and the archive its project starts from."""

    service: Service
    flavour: str
    client: Any
    archive: Path

    def inference(self, model_id: str) -> Any:
        return inference_client(self.service, self.flavour, model_id)


@pytest.mark.parametrize("flavour", [SYNC, ASYNC])
def test_whole_life(service: Service, tmp_path: Path, flavour: str) -> None:
    # A size of its own for each flavour: equal content would be one data set.
    archive = colour_archive(tmp_path / "colours.zip", per_class=14 if flavour == SYNC else 16)
    client = openai_client(service, flavour)
    asyncio.run(_live(Life(service, flavour, client, archive)))


async def _live(life: Life) -> None:
    file_id = await _upload(life)
    job = await _train(life, file_id)
    await _cancel(life, file_id)
    await _read_results(life, job)
    await _ask(life, job.fine_tuned_model)
    await _download(life, job.fine_tuned_model)
    await _meet_errors(life, job)
    await _delete(life, job, file_id)


async def _upload(life: Life) -> str:
    """In chunks; the service then knows its splits and classes."""
    upload = await done(
        life.client.uploads.upload_file_chunked(
            file=life.archive,
            mime_type="application/zip",
            purpose="fine-tune",
            part_size=FEW_BYTES,
        )
    )
    assert upload.status == "completed"
    file = await done(life.client.files.retrieve(upload.file.id))
    assert file == upload.file
    assert (file.filename, file.bytes) == ("colours.zip", life.archive.stat().st_size)
    assert file.id in [listed.id async for listed in every(life.client.files.list(limit=1))]
    content = await done(life.client.files.content(file.id))
    assert content.read() == life.archive.read_bytes()

    version = file.model_extra["dataset"]["version"]
    dataset = await done(life.client.get(f"/datasets/{version}", cast_to=object))
    assert [split["name"] for split in dataset["splits"]] == ["train", "test", "night"]
    return str(file.id)


async def _train(life: Life, file_id: str) -> Any:
    """Followed as a stream, paused in its midst, resumed from its checkpoint."""
    create = life.client.fine_tuning.jobs.create
    own = {"suffix": life.flavour, "metadata": {"client": life.flavour}}
    job = await done(create(**_request(file_id, N_STEPS), **own))
    assert job.status == "validating_files"
    assert job.metadata == {"client": life.flavour}
    listed = life.client.fine_tuning.jobs.list(metadata={"client": life.flavour})
    assert [found.id async for found in every(listed)] == [job.id]

    said = []
    async for event in _events(life, job.id):
        said.append(event)
        break
    await _until_it_trains(life, job.id)
    await done(life.client.fine_tuning.jobs.pause(job.id))
    async for event in _events(life, job.id, after=said[-1]["sequence"]):
        said.append(event)
        if event["message"].startswith("The job is paused"):
            break
    assert (await done(life.client.fine_tuning.jobs.retrieve(job.id))).status == "paused"
    resumed = await done(life.client.fine_tuning.jobs.resume(job.id))
    assert resumed.status == "queued"

    async for event in _events(life, job.id, after=said[-1]["sequence"]):
        said.append(event)
    assert said.pop() == {"fine_tuning_job_id": job.id, "status": "succeeded"}
    listed_events = life.client.fine_tuning.jobs.list_events(job.id, limit=3)
    listed_ids = [event.id async for event in every(listed_events)]
    assert [event["id"] for event in reversed(said)] == listed_ids
    assert [event["sequence"] for event in said] == list(range(1, len(said) + 1))
    assert any("goes on from step" in event["message"] for event in said)
    ended = await done(life.client.fine_tuning.jobs.retrieve(job.id))
    assert ended.fine_tuned_model.startswith(f"ft:tiny:{life.flavour}:")
    return ended


def _request(file_id: str, n_steps: int) -> dict[str, Any]:
    knobs = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": n_steps, "n_evaluations": 10}
    return {
        "model": "base:tiny",
        "training_file": file_id,
        "method": {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": knobs}},
        "seed": 3,
    }


async def _until_it_trains(life: Life, job_id: str) -> None:
    step = 0
    while not step:
        job = await done(life.client.fine_tuning.jobs.retrieve(job_id))
        assert job.status in ("validating_files", "queued", "running"), job.error
        step = (job.model_extra["progress"] or {}).get("step") or 0
        await asyncio.sleep(0.1)


async def _events(life: Life, job_id: str, after: int = 0) -> Any:
    """The job's events as the SDK reads a stream."""
    stream = life.client.get(
        f"/fine_tuning/jobs/{job_id}/events",
        cast_to=object,
        stream=True,
        stream_cls=stream_kind(life.flavour),
        options={"params": {"stream": True}, "headers": {"Last-Event-ID": str(after)}},
    )
    async for event in every(stream):
        yield event


async def _cancel(life: Life, file_id: str) -> None:
    create = life.client.fine_tuning.jobs.create
    job = await done(create(**_request(file_id, 1_000_000)))
    await _until_it_trains(life, job.id)
    await done(life.client.fine_tuning.jobs.cancel(job.id))
    said = [event async for event in _events(life, job.id)]
    assert said[-1] == {"fine_tuning_job_id": job.id, "status": "cancelled"}
    with pytest.raises(openai.ConflictError) as caught:
        await done(life.client.fine_tuning.jobs.resume(job.id))
    assert caught.value.code == "job_already_ended"


async def _read_results(life: Life, job: Any) -> None:
    """Step metrics, the table, and a model for every checkpoint."""
    contents = {}
    for file_id in job.result_files:
        file = await done(life.client.files.retrieve(file_id))
        contents[file.filename] = (await done(life.client.files.content(file_id))).read()
    steps = contents["metrics.csv"].decode().splitlines()
    assert [line.split(",")[:2] for line in steps[1:]] == [
        ["3", str(step)] for step in range(N_STEPS)
    ]
    rows = json.loads(contents["results.json"])["rows"]
    assert {(row["model"], row["split"]) for row in rows} >= {
        (model, split) for model in ("zero_shot", "fine_tuned") for split in ("test", "night")
    }
    listed = life.client.fine_tuning.jobs.checkpoints.list(job.id, limit=2)
    checkpoints = [checkpoint async for checkpoint in every(listed)]
    assert checkpoints[0].step_number == N_STEPS
    for checkpoint in checkpoints:
        name = checkpoint.fine_tuned_model_checkpoint
        assert (await done(life.client.models.retrieve(name))).id == name


async def _ask(life: Life, model_id: str) -> None:
    """Zero-shot beside fine-tuned, and features, at the model's own address."""
    with zipfile.ZipFile(life.archive) as images:
        image = images.read("test/bee/001.png")
    tuned = life.inference(model_id)
    answers = await done(tuned.image_classification(image))
    assert answers[0].label == "bee"
    assert sum(answer.score for answer in answers) == pytest.approx(1.0, abs=1e-5)
    best = await done(tuned.image_classification(image, top_k=1))
    assert best == answers[:1]
    for name in ("base:tiny", model_id):
        asking = life.inference(name)
        found = await done(asking.zero_shot_image_classification(image, CLASSES))
        assert {answer.label for answer in found} == set(CLASSES)
        features = await done(asking.feature_extraction("a photo of a bee"))
        assert np.linalg.norm(features) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(HfHubHTTPError, match="no readable image") as bad:
        await done(tuned.image_classification(b"no image"))
    assert bad.value.response.status_code == 400


async def _download(life: Life, model_id: str) -> None:
    """The weights: whole, and the rest of a download that was cut."""
    whole = await _get(life, f"/models/{model_id}/weights")
    content, etag = whole.read(), whole.response.headers["etag"]
    assert etag == f'"{hashlib.sha256(content).hexdigest()}"'
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {"open_clip_model.safetensors", "head.safetensors", "README.md"} <= set(
            tar.getnames()
        )
    half = len(content) // 2
    rest = await _get(
        life, f"/models/{model_id}/weights", {"Range": f"bytes={half}-", "If-Range": etag}
    )
    assert (rest.response.status_code, rest.read()) == (206, content[half:])


async def _get(life: Life, path: str, headers: dict[str, str] | None = None) -> Any:
    return await done(
        life.client.get(
            path, cast_to=openai.HttpxBinaryResponseContent, options={"headers": headers or {}}
        )
    )


async def _meet_errors(life: Life, job: Any) -> None:
    """Typed, as the SDK's users expect."""
    stranger = openai_client(life.service, life.flavour, "wrong")
    with pytest.raises(openai.AuthenticationError):
        await done(stranger.models.list())
    with pytest.raises(openai.NotFoundError) as missing:
        await done(life.client.files.retrieve("file-none"))
    assert missing.value.code == "not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        await done(life.client.fine_tuning.jobs.create(**_request("file-none", 1)))
    assert bad.value.param == "training_file"
    with pytest.raises(openai.ConflictError):
        await done(life.client.fine_tuning.jobs.cancel(job.id))
    with pytest.raises(openai.RateLimitError):
        await _exceed_a_limit(life)


async def _exceed_a_limit(life: Life) -> None:
    """With a key that may ask twice a minute, and a client that does not try again."""
    asked = {"name": "slow", "scopes": ["models:read"]}
    made = await done(life.client.post("/keys", cast_to=object, body=asked))
    limits = f"/keys/{made['id']}/limits"
    await done(life.client.put(limits, cast_to=object, body={"requests_per_minute": 2}))
    slow = openai_client(life.service, life.flavour, made["secret"]).with_options(max_retries=0)
    for _ in range(9):
        await done(slow.models.list())


async def _delete(life: Life, job: Any, file_id: str) -> None:
    """What was deleted is gone; the job's record stays."""
    assert (await done(life.client.models.delete(job.fine_tuned_model))).deleted is True
    with pytest.raises(openai.NotFoundError):
        await done(life.client.models.retrieve(job.fine_tuned_model))
    with pytest.raises(HfHubHTTPError) as missing:
        await done(life.inference(job.fine_tuned_model).feature_extraction("a bee"))
    assert missing.value.response.status_code == 404
    assert (await done(life.client.files.delete(file_id))).deleted is True
    with pytest.raises(openai.NotFoundError):
        await done(life.client.files.content(file_id))
    assert (await done(life.client.fine_tuning.jobs.retrieve(job.id))).status == "succeeded"
