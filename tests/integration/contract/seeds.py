"""One of everything on a running service, so that requests by the hundred find something there."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from core.jobs.messages import Artifact, Event, Message, SplitResult, StoredModel
from core.learning.comparison.document import to_json
from core.records import (
    comparisons,
    datasets,
    deliveries,
    job_logs,
    jobs,
    leases,
    models,
    publishing,
    webhooks,
)
from core.records.engine import Session
from core.records.leases import Claim
from tests.api_service import CLASSES, dataset, png
from tests.integration.running import Running
from tests.unit.learning.comparison.jobs import compared

HOOK = "https://93.184.216.34/hook"  # an address: nobody asks a resolver, and nothing is sent


@dataclass(frozen=True)
class Seeds:
    """Ids, each list by what parameters of the document call it."""

    file_id: list[str]
    dataset_id: list[str]
    image_id: list[str]
    upload_id: list[str]
    whole_upload_id: list[str]  # can be completed
    part_id: list[str]
    job_id: list[str]
    model_id: list[str]
    labelling_model_id: list[str]  # no mixture: those answer to labels of a request
    lost_model_id: list[str]  # and one whose weights are there
    comparison_id: list[str]
    webhook_id: list[str]
    delivery_id: list[str]
    key_id: list[str]
    project_id: list[str]
    alias: list[str]
    name: list[str]  # of a model's file
    split: list[str]
    scored_job_id: list[str]  # whose predictions are there
    scored_model: list[str]  # in them
    scored_class: list[str]
    run_seed: list[int]
    method: list[str]
    image: list[str]  # in base64
    ended_job: str
    kept: tuple[str, ...]  # what the run cannot do without
    plain: dict[str, dict[str, Any]]  # by operation, bodies that are accepted
    hook: str = HOOK


def seed(running: Running, directory: Path) -> Seeds:
    """What a project has after some days, made as clients and workers make it."""
    headers = {"authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=f"{running.address}/v1", headers=headers, timeout=60) as client:
        return _Seeding(running, client, directory).everything()


class _Seeding:
    def __init__(self, running: Running, client: httpx.Client, directory: Path) -> None:
        self._running = running
        self._client = client
        made = compared(
            directory, {"ft": [{"test": 0.8, "sketch": 0.5}]}, {"test": 0.7, "sketch": 0.6}
        )
        self._report = {
            "comparison.json": to_json(made).encode(),
            "comparison.html": b"<!doctype html><title>A report</title>",
            "results.csv": b"contender,accuracy\nft,0.8\n",
            "predictions.parquet": _predictions(),
        }

    def everything(self) -> Seeds:
        archives = [self._file(dataset(seed=100 * n), "fine-tune", "a.zip") for n in range(3)]
        pictures = [self._file(png(900 + n), "vision", f"{n}.png") for n in range(3)]
        training_file = archives[0]["id"]
        images = [base64.b64encode(png(n)).decode() for n in range(2)]
        body = {"model": "base:tiny", "training_file": training_file}
        ended, report, failed = (self._job(body) for _ in range(3))
        comparison = self._post("/comparisons", **body, methods=["ft"])
        self._succeed(ended)
        self._succeed(report)
        self._fail(failed)
        with self._running.database.write() as session:
            comparisons.set_report(session, comparison["id"], report)
        lost = self._lose_weights(report)
        announced = {
            "filename": "b.bin",
            "mime_type": "x/y",
            "purpose": "user_data",
            "bytes": 2**20,
        }
        upload = self._post("/uploads", **announced)
        part = self._sent(f"/uploads/{upload['id']}/parts", files={"data": ("upload", b"half")})
        whole = self._post("/uploads", **{**announced, "bytes": 4})
        numbered = {"data": {"part_number": "1"}, "files": {"data": ("upload", b"half")}}
        self._sent(f"/uploads/{whole['id']}/parts", **numbered)
        (own_key,) = [key["id"] for key in self._get("/keys")["data"]]
        webhook = self._post("/webhooks", url=HOOK)
        return Seeds(
            file_id=[item["id"] for item in archives],
            dataset_id=[item["dataset"]["version"] for item in archives],
            image_id=[item["id"] for item in pictures],
            upload_id=[upload["id"], whole["id"]],
            whole_upload_id=[whole["id"]],
            part_id=[part["id"]],
            job_id=[ended, failed, self._job(body), self._job(body)],
            model_id=["base:tiny", self._running.fine_tuned, self._running.mixture],
            labelling_model_id=["base:tiny", self._running.fine_tuned],
            lost_model_id=[self._running.fine_tuned, lost],
            comparison_id=[comparison["id"]],
            webhook_id=[webhook["id"]],
            delivery_id=[self._delivery(webhook["id"], ended)],
            key_id=[self._post("/keys", name="another", scopes=["keys"])["id"]],
            project_id=[self._post("/projects", name="another")["id"]],
            alias=[self._alias()],
            name=["open_clip_config.json", "head.safetensors"],
            split=["train", "test", "sketch"],
            scored_job_id=[ended, report],
            scored_model=["zero_shot", "fine_tuned"],
            scored_class=["cat", "dog", "owl"],
            run_seed=[0],
            method=["ft", "lipsum_ft"],
            image=images,
            ended_job=ended,
            kept=(
                *(item["id"] for item in (*archives, *pictures)),
                *(self._running.fine_tuned, self._running.mixture, lost),
                *(upload["id"], whole["id"], webhook["id"]),
                *(own_key, self._running.project_id),
            ),
            plain={
                "create_job": body,
                "create_comparison": {**body, "methods": ["ft"]},
                "create_dataset": {
                    "images": [
                        {"file_id": picture["id"], "label": label}
                        for picture, label in zip(pictures, ("cat", "dog", "dog"), strict=True)
                    ]
                },
                "create_webhook": {"url": HOOK},
                "create_upload": announced,
                "complete_upload": {},
                "classify": {
                    "models": ["base:tiny", self._running.fine_tuned],
                    "inputs": images[0],
                },
                "image_classification": {"inputs": images[0]},
                "zero_shot_image_classification": {
                    "inputs": images[0],
                    "parameters": {"candidate_labels": ["cat", "dog"]},
                },
                "create_embeddings": {"texts": ["a cat"], "images": images},
            },
        )

    def _alias(self) -> str:
        """It has moved once."""
        for model in (self._running.fine_tuned, "base:tiny"):
            answer = self._client.put("/aliases/production", json={"model": model})
            assert answer.status_code == 200, answer.text
        return "production"

    def _job(self, body: dict[str, Any]) -> str:
        return str(self._post("/fine_tuning/jobs", **body)["id"])

    def _succeed(self, job_id: str) -> None:
        """What a worker does with a job, the oldest that waits."""
        with self._running.database.write() as session:
            held = self._claim(session, job_id)
            job_logs.append(session, held, b"step 1\nstep 2\n")
            like = models.get(session, held.project_id, self._running.fine_tuned)
            weights = self._running.store.read_bytes(like.object_key)
            made = self._results(held, weights, like.members)
            outcome = publishing.publish(session, held, made, max_attempts=1)
        assert outcome.status == "succeeded"

    def _fail(self, job_id: str) -> None:
        with self._running.database.write() as session:
            held = self._claim(session, job_id)
            leases.fail(session, held, "out_of_memory", "It did not fit.", max_attempts=1)

    def _claim(self, session: Session, job_id: str) -> Claim:
        project_id = self._running.project_id
        version = jobs.get(session, project_id, job_id).spec["datasets"][0]["version"]
        datasets.mark_checked(session, project_id, version, "index", {})
        held = leases.claim(session, "worker", "boot", 60.0)
        assert held is not None and held.job_id == job_id
        return held

    def _results(self, held: Claim, weights: bytes, members: dict[str, list[int]]) -> list[Message]:
        """A table with a number that is none, a report, predictions, a model and a checkpoint of
        it."""
        prefix = f"jobs/{held.job_id}/attempts/{held.attempt}"
        found: list[Message] = [
            Event(message="Half of it is done", data={"step": 1}),
            SplitResult(
                seed=0, model="zero_shot", split="test", metric="accuracy", value=0.5, n=4, low=0.0
            ),
            SplitResult(
                seed=0, model="fine_tuned", split="test", metric="nll", value=float("nan"), n=4
            ),
        ]
        for name, content in self._report.items():
            part = self._running.store.put_bytes(f"{prefix}/{name}", content)
            found.append(
                Artifact(filename=name, object_key=part.key, sha256=part.sha256, size=part.size)
            )
        own = held.spec.model_id
        stored = self._running.store.put_bytes(f"{prefix}/model.tar", weights)
        for model_id, step in ((own, None), (f"{own}:step-1", 1)):
            found.append(
                StoredModel(
                    id=model_id,
                    kind="fine_tuned" if step is None else "checkpoint",
                    object_key=stored.key,
                    sha256=stored.sha256,
                    size=stored.size,
                    members={name: (place[0], place[1]) for name, place in members.items()},
                    info={"base": "base:tiny", "n_classes": 3},
                    seed=0,
                    step=step,
                    metrics={"val/accuracy": 0.5, "val/nll": float("nan")},
                )
            )
        return found

    def _lose_weights(self, job_id: str) -> str:
        """The job's model, whose bytes are gone."""
        with self._running.database.read() as session:
            model_id = jobs.get(session, self._running.project_id, job_id).fine_tuned_model
            assert model_id is not None
            row = models.get(session, self._running.project_id, model_id)
        self._running.store.delete(row.object_key)
        return model_id

    def _delivery(self, webhook_id: str, job_id: str) -> str:
        project_id = self._running.project_id
        with self._running.database.write() as session:
            deliveries.emit(session, project_id, "fine_tuning.job.succeeded", job_id)
            endpoint = webhooks.get(session, project_id, webhook_id)
            page = deliveries.list_deliveries(session, endpoint, after=None, order="desc", limit=1)
        return page.items[0].id

    def _file(self, content: bytes, purpose: str, filename: str) -> dict[str, Any]:
        return self._sent("/files", data={"purpose": purpose}, files={"file": (filename, content)})

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._sent(path, json=body)

    def _sent(self, path: str, **content: Any) -> dict[str, Any]:
        answer = self._client.post(path, **content)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _get(self, path: str) -> dict[str, Any]:
        return dict(self._client.get(path).raise_for_status().json())


def _predictions() -> bytes:
    """Of the images of `dataset()`: each class is taken for the next one by one of two models."""
    rows = [
        {
            "seed": 0,
            "model": model,
            "split": split,
            "key": f"{split}/{name}/{number}.png",
            "label": label,
            "top_labels": [(label + (number + shift) % 2) % len(CLASSES)],
            "top_probabilities": [0.5 + number / 10],
        }
        for shift, model in enumerate(("zero_shot", "fine_tuned"))
        for split in ("test", "sketch")
        for label, name in enumerate(CLASSES)
        for number in range(4)
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()
