"""Record the examples of the OpenAPI document: every operation asked once of a running service.

    python -m docs.record_examples

The service is a real one (API, inference, worker) with a data directory and an S3 server of its
own, the data are the demo's drawn pictures. What was asked and answered is kept as it was, but that
long lists and secrets are cut short. `api/reference/examples.json` is written.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import tempfile
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from PIL import Image

from api.reference.document import EXAMPLES, operations
from cli.ports import free_ports
from cli.service import Service
from core.demo.world import write_archives
from core.settings import Settings
from tests.s3_server import private_s3
from tests.trainers import trainer_of

PATIENCE = 300.0  # seconds for a job to get somewhere
LABELS = ("airplane", "sailboat")  # two of the demo's classes
LONGEST_LIST = 3
LONGEST_TEXT = 1000  # characters
PART = 1 << 20

Json = dict[str, Any]


class Recorder:
    """Asks operations by their names and keeps the first of each."""

    def __init__(self, service: Service) -> None:
        self._worker = next(child for child in service.children if child.name == "worker")
        headers = {"authorization": f"Bearer {service.api_key}"}
        self._http = httpx.Client(base_url=service.address, headers=headers, timeout=120.0)
        self._operations = {
            operation["operationId"]: operation
            for operation in operations(self._http.get("/openapi.json").json())
        }
        self.examples: dict[str, Json] = {}

    def ask(
        self,
        operation_id: str,
        body: Json | None = None,
        *,
        query: dict[str, str] | None = None,
        form: Json | None = None,
        data: tuple[str, str, bytes] | None = None,
        **ids: str,
    ) -> Any:
        """The JSON answer. `data` is a field of a form: its name, file name and bytes."""
        operation = self._operations[operation_id]
        files = {data[0]: data[1:]} if data else None
        answer = self._http.request(
            operation["x-method"],
            operation["x-path"].format(**ids),
            json=body,
            params=query,
            data=form,
            files=files,
        )
        if not answer.is_success:
            raise RuntimeError(f"{operation_id}: {answer.status_code} {answer.text}")
        example = {"answer": answer.json()} | ({} if body is None else {"request": body})
        self.examples.setdefault(operation_id, shortened(example))
        return answer.json()

    def follow(self, job_id: str, *statuses: str) -> Json:
        """The job when it has one of these."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            job: Json = self._http.get(f"/v1/fine_tuning/jobs/{job_id}").json()
            if job["status"] in statuses:
                return job
            time.sleep(0.2)
        raise TimeoutError(f"{job_id} is {job['status']} after {PATIENCE:.0f} s, not {statuses}")

    def kill_trainer(self) -> None:
        """As the system does when memory runs out, as soon as one is at work."""
        assert self._worker.process is not None
        deadline = time.monotonic() + PATIENCE
        while (trainer := trainer_of(self._worker.process.pid)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no trainer was at work within {PATIENCE:.0f} s")
            time.sleep(0.05)
        os.kill(trainer, signal.SIGKILL)


def shortened(value: Any, name: str = "") -> Any:
    """What of a request or an answer a reader needs to see."""
    if isinstance(value, dict):
        return {key: shortened(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [shortened(part, name) for part in value[:LONGEST_LIST]]
    if isinstance(value, str) and (name == "secret" or len(value) > LONGEST_TEXT):
        return f"{value[:8]}…"
    if name == "url" and "X-Amz-" in value:
        return "https://store.example/" + value.split("/", 3)[3]
    return value


class _Receiver(BaseHTTPRequestHandler):
    """Where the service's webhooks arrive."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def main() -> None:
    """Writes the file."""
    with tempfile.TemporaryDirectory() as directory, private_s3() as s3:
        data = Path(directory) / "data"
        archive = write_archives(Path(directory), train_per_class=12, test_per_class=4)["demo"]
        receiver = HTTPServer(("127.0.0.1", 0), _Receiver)
        settings = Settings(
            data_dir=data,
            device="cpu",
            max_attempts=1,
            object_store_url=f"s3://{s3.make_bucket('lipsum')}",
            **s3.settings(),
            outgoing_hosts=("localhost",),
            outgoing_ports=(receiver.server_port,),
        )
        Thread(target=receiver.serve_forever, daemon=True).start()
        with Service(settings.model_copy(update=free_ports(settings))) as service:
            recorder = Recorder(service)
            recorder.ask("health")
            recorder.ask("readiness")
            _access(recorder)
            file_id, images = _files(recorder, archive)
            hook = f"http://localhost:{receiver.server_port}/hooks"
            webhook_id = recorder.ask("create_webhook", {"url": hook, "description": "lab"})["id"]
            job = _jobs(recorder, file_id)
            _comparisons(recorder, file_id)
            _answers(recorder, str(job["fine_tuned_model"]), images)
            _webhooks(recorder, webhook_id)
            recorder.ask("retrieve_usage")
            recorder.ask("list_audit_lines", query={"limit": "2"})
            recorder.ask("delete_model", model_id=str(job["fine_tuned_model"]))
            recorder.ask("delete_file", file_id=file_id)
    text = json.dumps(recorder.examples, indent=1, ensure_ascii=False, sort_keys=True)
    EXAMPLES.write_text(text + "\n", encoding="utf-8")
    print(f"{len(recorder.examples)} operations in {EXAMPLES.name}")


def _access(recorder: Recorder) -> None:
    ask = recorder.ask
    project_id = ask("create_project", {"name": "vision lab"})["id"]
    ask("limit_project", {"concurrent_jobs": 4, "stored_bytes": 10**11}, project_id=project_id)
    ask("retrieve_project", project_id=project_id)
    ask("list_projects", query={"limit": "2"})
    key = {"name": "notebook", "scopes": ["files:write", "jobs:write", "jobs:read"]}
    key_id = ask("create_key", {**key, "expires_in": 90 * 86400, "project": project_id})["id"]
    ask("limit_key", {"requests_per_minute": 600}, key_id=key_id)
    ask("retrieve_key", key_id=key_id)
    ask("list_keys", query={"project": project_id})
    ask("rotate_key", {"overlap": 3600}, key_id=key_id)
    ask("revoke_key", key_id=key_id)
    ask("delete_project", project_id=project_id)


def _files(recorder: Recorder, archive: Path) -> tuple[str, list[bytes]]:
    """The id of a file to train on, and some of its pictures."""
    ask = recorder.ask
    kind = {"mime_type": "application/zip", "purpose": "fine-tune"}
    announced = {"bytes": archive.stat().st_size, "filename": "photographs.zip", **kind}
    upload = ask("create_upload", announced)["id"]
    content = archive.read_bytes()
    parts = [
        ask("add_part", data=("data", "upload", content[at : at + PART]), upload_id=upload)["id"]
        for at in range(0, len(content), PART)
    ]
    ask("list_parts", upload_id=upload)
    _write_a_part(recorder, announced, content[:PART])
    ask("retrieve_upload", upload_id=upload)
    file_id = ask("complete_upload", {"part_ids": parts}, upload_id=upload)["file"]["id"]
    ask("list_uploads")
    ask("cancel_upload", upload_id=ask("create_upload", announced)["id"])

    with zipfile.ZipFile(archive) as pictures:
        tests = [name for name in pictures.namelist() if name.startswith("test/")]
        names = [name for label in LABELS for name in tests if f"/{label}/" in name]
        images = [pictures.read(name) for name in names]
    sent = [
        ask("upload_file", form={"purpose": "vision"}, data=("file", Path(name).name, image))["id"]
        for name, image in zip(names, images, strict=True)
    ]
    labelled = [
        {"file_id": image, "label": name.split("/")[1]}
        for image, name in zip(sent, names, strict=True)
    ]
    ask("create_dataset", {"images": labelled, "filename": "photographs.zip"})
    ask("list_files", query={"limit": "2"})
    file = ask("retrieve_file", file_id=file_id)
    ask("list_datasets", query={"limit": "2"})
    ask("retrieve_dataset", dataset_id=file["dataset"]["version"])
    return file_id, images


def _write_a_part(recorder: Recorder, announced: Json, content: bytes) -> None:
    """Into the object store, past the service."""
    ask = recorder.ask
    digest = hashlib.sha256(content).hexdigest()
    part = {"part_number": 1, "bytes": len(content), "sha256": digest}
    upload = ask("create_upload", announced)["id"]
    url = ask("sign_part", part, upload_id=upload)["url"]
    httpx.put(url, content=content).raise_for_status()
    ask("confirm_part", part, upload_id=upload)


def _jobs(recorder: Recorder, file_id: str) -> Json:
    """A job that has ended well; of others, what they are for."""
    ask = recorder.ask
    asked = _request(file_id, {"n_epochs": 2, "batch_size": 32, "learning_rate": 3e-4})
    ask("list_methods")
    ask("estimate_job", asked)
    job_id = ask("create_job", {**asked, "suffix": "trial", "metadata": {"team": "lab"}})["id"]
    ended = recorder.follow(job_id, "succeeded", "failed")
    ask("retrieve_job", job_id=job_id)
    ask("list_jobs", query={"limit": "1"})
    ask("list_events", job_id=job_id, query={"limit": "3"})
    ask("list_checkpoints", job_id=job_id)
    ask("list_metrics", job_id=job_id, query={"limit": "3"})
    ask("list_changed_predictions", job_id=job_id, query={"split": "test", "limit": "2"})
    ask("list_workers")
    ask("retrieve_spec", job_id=job_id)

    long = ask("create_job", _request(file_id, {"n_epochs": 1000}))["id"]
    recorder.follow(long, "running")
    ask("pause_job", job_id=long)
    recorder.follow(long, "paused")
    ask("resume_job", job_id=long)
    ask("cancel_job", {"keep_checkpoint": False}, job_id=long)
    recorder.follow(long, "cancelled")

    lost = ask("create_job", _request(file_id, {"n_epochs": 1000}))["id"]
    recorder.follow(lost, "running")
    recorder.kill_trainer()
    recorder.follow(lost, "failed")
    ask("retry_job", job_id=lost)
    ask("cancel_job", job_id=lost)
    recorder.follow(lost, "cancelled")
    return ended


def _request(file_id: str, hyperparameters: Json) -> Json:
    method = {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": hyperparameters}}
    return {"model": "base:demo", "training_file": file_id, "method": method, "seed": 0}


def _comparisons(recorder: Recorder, file_id: str) -> None:
    ask = recorder.ask
    methods = ["ft", "wise_ft", "lipsum_ft"]
    body = {"model": "base:demo", "training_file": file_id, "methods": methods, "n_seeds": 3}
    comparison_id = ask("create_comparison", body)["id"]
    ask("retrieve_comparison", comparison_id=comparison_id)
    ask("list_comparisons", query={"limit": "1"})
    ask("cancel_comparison", comparison_id=comparison_id)


def _answers(recorder: Recorder, model_id: str, images: list[bytes]) -> None:
    """Inference with the fine-tuned model."""
    ask = recorder.ask
    image = base64.b64encode(_thumbnail(images[0])).decode()
    candidates = {"parameters": {"candidate_labels": [*LABELS, "truck"]}}
    ask("ask_model", {"inputs": image, "parameters": {"top_k": 2}}, model_id=model_id)
    ask("image_classification", {"inputs": image, "parameters": {"top_k": 2}}, model_id=model_id)
    ask("zero_shot_image_classification", {"inputs": image, **candidates}, model_id=model_id)
    models = ["base:demo", model_id]
    ask("classify", {"models": models, "inputs": image, "parameters": {"top_k": 2}})
    ask("feature_extraction", {"inputs": "a photo of an airplane"}, model_id=model_id)
    ask("create_embeddings", {"texts": ["an airplane"], "images": [image]}, model_id=model_id)
    ask("list_models", query={"limit": "2"})
    ask("retrieve_model", model_id=model_id)
    for model in (model_id, "base:demo"):
        ask("point_alias", {"model": model}, alias="production")
    ask("roll_back_alias", alias="production")
    ask("retrieve_alias", alias="production")
    ask("list_aliases")
    ask("delete_alias", alias="production")


def _thumbnail(picture: bytes) -> bytes:
    """So small that a reader can copy it."""
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").resize((16, 16)).save(out, "JPEG", quality=30)
    return out.getvalue()


def _webhooks(recorder: Recorder, webhook_id: str) -> None:
    ask = recorder.ask
    ask("retrieve_webhook", webhook_id=webhook_id)
    delivery = ask("list_deliveries", webhook_id=webhook_id, query={"limit": "1"})["data"][0]["id"]
    ask("redeliver", webhook_id=webhook_id, delivery_id=delivery)
    ask("rotate_secret", webhook_id=webhook_id)
    ask("change_webhook", {"description": "lab, second floor"}, webhook_id=webhook_id)
    ask("list_webhooks")
    ask("delete_webhook", webhook_id=webhook_id)


if __name__ == "__main__":
    main()
