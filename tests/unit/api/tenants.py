"""Two tenants of one service, and one of everything that the first owns."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from httpx import Response

from core.access.scopes import Scope
from core.ids import new_id
from core.jobs.messages import Artifact, StoredModel
from core.records import comparisons, deliveries, keys, webhooks
from core.records.upload_parts import signed_prefix
from tests.api_service import Service, add_base, add_key, dataset, png
from tests.service_builders import HASHING
from tests.unit.api.test_jobs import create, finish

OURS, THEIRS = "default", "theirs"  # names of projects
IMAGE = base64.b64encode(png()).decode()
WEIGHTS = b"a head, and more"
PART = b"all of it"
DIRECT = {"part_number": 3, "bytes": len(PART), "sha256": hashlib.sha256(PART).hexdigest()}
URL = "https://93.184.216.34/hook"  # an address: no test asks a resolver on the internet


NOBODYS = ("name", "version", "asset", "chart")  # fields of Owned that are the same for all


@dataclass(frozen=True)
class Owned:
    """Ids of what the first tenant has; the test may do with it what it likes."""

    project_id: str
    file_id: str
    job_id: str  # waits for a worker
    model_id: str
    comparison_id: str  # runs, and has a report
    key_id: str
    upload_id: str  # of twice its only part
    part_id: str
    dataset_id: str
    image_id: str
    webhook_id: str
    delivery_id: str
    alias: str  # points at a base, and pointed at the model before
    name: str = "head.safetensors"
    version: str = "0"  # of the page; any will do
    asset: str = "css/app.css"
    chart: str = "curves"

    def ids(self) -> dict[str, str]:
        """What stands in a path or body, by name."""
        return dict(vars(self))

    def never_existed(self) -> Owned:
        """The same shape; nobody has any of it."""
        return Owned(
            new_id("proj"),
            new_id("file"),
            new_id("ftjob"),
            f"ft:tiny::{new_id('x')}",
            new_id("cmp"),
            new_id("key"),
            new_id("upload"),
            new_id("part"),
            "0" * 64,
            new_id("file"),
            new_id("wh"),
            new_id("whd"),
            new_id("alias"),
        )


def own_one_of_everything(service: Service) -> Owned:
    """Made anew, so that a test may delete it."""
    add_base(service.database, service.store)
    archive = service.upload(dataset())
    file_id = str(archive["id"])
    model_id = published(service, str(create(service, file_id)["id"]))
    body = {"model": "base:tiny", "training_file": file_id, "methods": ["ft"]}
    comparison = service.client.post("/v1/comparisons", json=body).json()
    report_job = str(create(service, file_id)["id"])
    prefix = f"jobs/{report_job}/attempts/1"
    report = service.store.put_bytes(f"{prefix}/comparison.json", b"{}")
    made = Artifact(
        filename="comparison.json", object_key=report.key, sha256=report.sha256, size=report.size
    )
    finish(service, report_job, [made])
    with service.database.write() as session:
        comparisons.set_report(session, comparison["id"], report_job)
        key, _ = keys.create(
            session, service.project_id, "theirs to manage", HASHING, scopes=["keys"]
        )
    waiting = create(service, file_id)
    return Owned(
        service.project_id,
        file_id,
        waiting["id"],
        model_id,
        comparison["id"],
        key.id,
        *_announced(service),
        archive["dataset"]["version"],
        str(service.upload(png(77), "vision", "cat.png")["id"]),
        *_told(service, waiting["id"]),
        _pointed(service, model_id),
    )


def headers(
    service: Service, project: str, scopes: Iterable[Scope], **values: Any
) -> dict[str, str]:
    """Of a new key."""
    _, secret = add_key(service.database, project, scopes, **values)
    return {"authorization": f"Bearer {secret}"}


def ask(
    service: Service, method: str, path: str, owned: Owned, headers: dict[str, str]
) -> Response:
    """A request that succeeds for who may make it: with a body where the route takes one."""
    return service.client.request(
        method, path.format(**owned.ids()), headers=headers, **_content(method, path, owned)
    )


_CHANGED = "/v1/fine_tuning/jobs/{job_id}/predictions"


def _content(method: str, path: str, owned: Owned) -> dict[str, Any]:
    name = new_id("name")
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/v1/files"): {
            "data": {"purpose": "user_data"},
            "files": {"file": (f"{name}.bin", name.encode())},
        },
        ("POST", "/v1/uploads"): {"json": announcement(name)},
        ("POST", "/v1/uploads/{upload_id}/parts"): {
            "data": {"part_number": "2"},
            "files": {"data": ("upload", b"the rest!")},
        },
        ("POST", "/v1/uploads/{upload_id}/parts:sign"): {"json": DIRECT},
        ("POST", "/v1/uploads/{upload_id}/parts:confirm"): {"json": DIRECT},
        ("POST", "/v1/uploads/{upload_id}/complete"): {
            "json": {"part_ids": [owned.part_id, owned.part_id]}
        },
        ("POST", "/v1/datasets"): {
            "json": {
                "images": [{"file_id": owned.image_id, "label": label} for label in ("cat", "dog")],
                "filename": f"{name}.zip",
            }
        },
        ("GET", "/v1/datasets/{dataset_id}/contact-sheet"): {"params": {"split": "test"}},
        ("GET", _CHANGED): {"params": {"split": "test"}},
        ("GET", f"{_CHANGED}/sheet"): {"params": {"split": "test"}},
        ("POST", "/v1/fine_tuning/jobs"): {
            "json": {"model": "base:tiny", "training_file": owned.file_id}
        },
        ("POST", "/v1/comparisons"): {
            "json": {"model": "base:tiny", "training_file": owned.file_id, "methods": ["ft"]}
        },
        ("PUT", "/v1/aliases/{alias}"): {"json": {"model": owned.model_id}},
        ("POST", "/v1/classify"): {"json": {"models": [owned.model_id], "inputs": IMAGE}},
        ("POST", "/v1/models/{model_id}"): {"json": {"inputs": IMAGE}},
        ("POST", "/v1/models/{model_id}/embeddings"): {"json": {"texts": ["a cat"]}},
        ("POST", "/v1/models/{model_id}/feature-extraction"): {"json": {"inputs": "a cat"}},
        ("POST", "/v1/models/{model_id}/image-classification"): {"json": {"inputs": IMAGE}},
        ("POST", "/v1/models/{model_id}/zero-shot-image-classification"): {
            "json": {"inputs": IMAGE, "parameters": {"candidate_labels": ["cat", "dog"]}}
        },
        ("POST", "/v1/fine_tuning/jobs:estimate"): {
            "json": {"model": "base:tiny", "training_file": owned.file_id}
        },
        ("POST", "/v1/webhooks"): {"json": {"url": URL}},
        ("PATCH", "/v1/webhooks/{webhook_id}"): {"json": {"description": name}},
        ("POST", "/v1/keys"): {"json": {"name": name, "scopes": ["keys"]}},
        ("POST", "/v1/keys/{key_id}/rotate"): {"json": {}},
        ("PUT", "/v1/keys/{key_id}/limits"): {"json": {"concurrent_jobs": 99}},
        ("POST", "/v1/projects"): {"json": {"name": name}},
        ("PUT", "/v1/projects/{project_id}/limits"): {"json": {}},
    }
    return bodies.get((method, path), {})


def published(service: Service, job_id: str, *, with_checkpoint: bool = False) -> str:
    """The id of the model that the job is said to have made."""
    model_id = f"ft:tiny::{job_id.removeprefix('ftjob-')}"
    stored = service.store.put_bytes(f"jobs/{job_id}/attempts/1/model.tar", WEIGHTS)
    model = StoredModel(
        id=model_id,
        kind="fine_tuned",
        object_key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
        members={"head.safetensors": (0, 6)},
        info={"base": "base:tiny"},
        seed=0,
    )
    checkpoint = model.model_copy(update={"id": f"{model_id}:step-1", "kind": "checkpoint"})
    finish(service, job_id, [model, checkpoint] if with_checkpoint else [model])
    return model_id


def announcement(name: str) -> dict[str, Any]:
    """The body that announces an upload of `PART`, twice."""
    kind = {"mime_type": "x/y", "purpose": "user_data"}
    return {"bytes": 2 * len(PART), "filename": f"{name}.bin", **kind}


def _told(service: Service, job_id: str) -> tuple[str, str]:
    """The ids of a webhook and of a delivery to it. A project may have few webhooks: all but its
    first make room."""
    for older in service.client.get("/v1/webhooks?order=asc").json()["data"][1:]:
        service.client.delete(f"/v1/webhooks/{older['id']}")
    webhook = service.client.post("/v1/webhooks", json={"url": URL}).json()["id"]
    with service.database.write() as session:
        deliveries.emit(session, service.project_id, "fine_tuning.job.failed", job_id)
        endpoint = webhooks.get(session, service.project_id, webhook)
        page = deliveries.list_deliveries(session, endpoint, after=None, order="desc", limit=1)
    return webhook, page.items[0].id


def _pointed(service: Service, model_id: str) -> str:
    """The name of an alias."""
    name = new_id("alias")
    for model in (model_id, "base:tiny"):
        made = service.client.put(f"/v1/aliases/{name}", json={"model": model})
        assert made.status_code == 200, made.text
    return name


def _announced(service: Service) -> tuple[str, str]:
    """The ids of an upload and of its part; a second was written into the store."""
    upload = service.client.post("/v1/uploads", json=announcement(new_id("name"))).json()["id"]
    sent = service.client.post(f"/v1/uploads/{upload}/parts", files={"data": ("upload", PART)})
    assert sent.status_code == 200, sent.text
    service.store.put_bytes(f"{signed_prefix(upload)}/{DIRECT['sha256']}", PART)
    return str(upload), str(sent.json()["id"])
