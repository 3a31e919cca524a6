"""What Prometheus is told: read by its own client's parser, and all that the dashboard asks for."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.serving.app import create_serving_app
from core.errors import InvalidRequest
from core.jobs.messages import Speed
from core.prediction import CONTENT_TYPE
from core.records import workers
from core.settings import Settings
from tests import service_builders as build
from tests.api_service import Service, open_service
from tests.services import free_port
from worker.observed import Observations

DOCKER = Path(__file__).parents[2] / "docker"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path) as opened:
        yield opened


def of_api(service: Service) -> Samples:
    answer = service.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


@dataclass
class Running:
    """What is known of an attempt."""

    slot: int
    speed: Speed | None
    failure: str | None = None


def of_worker() -> Samples:
    """Asked over HTTP, as Prometheus does."""
    port, observations = free_port(), Observations()
    speed = Speed(step_seconds=0.5, images_per_second=64.0, device_memory_bytes=2**30)
    attempts = [Running(0, speed), Running(1, None)]
    observations.serve("127.0.0.1", port, lambda: attempts)
    observations.ended(Running(0, speed, "storage_error"), "queued")
    observations.ended(Running(0, speed), None)
    observations.storage_errors.inc()
    with pytest.raises(InvalidRequest, match=f"worker_metrics_port {port} cannot be had"):
        Observations().serve("127.0.0.1", port, lambda: attempts)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return samples(answer.read().decode())


def of_inference(directory: Path) -> Samples:
    """After a question that it did not understand."""
    with TestClient(create_serving_app(Settings(data_dir=directory))) as client:
        answer = client.post("/predict", content=b"?", headers={"content-type": CONTENT_TYPE})
        assert answer.status_code == 400
        return samples(client.get("/metrics").text)


def test_a_request_is_counted_with_its_route_and_status(service: Service) -> None:
    service.client.get("/v1/files/file-a")
    service.client.get("/v1/files/file-b")
    service.client.get("/nowhere")
    found = of_api(service)
    labels = (("method", "GET"), ("route", "/v1/files/{file_id}"))
    assert found["lipsum_requests_total", (*labels, ("status", "404"))] == 2
    assert found["lipsum_request_seconds_count", labels] == 2
    assert found["lipsum_request_seconds_sum", labels] > 0
    unknown = (("method", "GET"), ("route", "none"), ("status", "404"))
    assert found["lipsum_requests_total", unknown] == 1
    assert found["lipsum_open_answers", ()] == 1  # this one


def test_the_service_says_how_it_stands(service: Service) -> None:
    for _ in range(3):
        build.job(service.database, service.project_id)
    build.claim(service.database, "one")
    with service.database.write() as session:
        workers.say(session, "one", "boot", 2, "")
        workers.say(session, "two", "boot", 3, "")
    found = of_api(service)
    assert found["lipsum_queue_depth", ()] == 2
    assert found["lipsum_jobs", (("status", "queued"),)] == 2
    assert found["lipsum_jobs", (("status", "running"),)] == 1
    assert found["lipsum_jobs", (("status", "paused"),)] == 0
    assert 0 <= found["lipsum_queue_oldest_seconds", ()] < 60
    assert 0 <= found["lipsum_lease_age_seconds", (("worker", "one"),)] < 60
    assert found["lipsum_workers", ()] == 2
    assert found["lipsum_worker_slots", ()] == 5
    assert found["lipsum_doorbells_unheard", ()] == 0


def test_a_store_that_fails_is_counted(service: Service) -> None:
    spool = service.settings.spool_directory
    spool.write_bytes(b"no directory")
    answer = service.client.post(
        "/v1/files", data={"purpose": "user_data"}, files={"file": ("a", b"a")}
    )
    assert answer.status_code == 507
    assert of_api(service)["lipsum_storage_errors_total", ()] == 1


def test_a_worker_says_what_its_trainers_do() -> None:
    found = of_worker()
    assert found["lipsum_slots_busy", ()] == 2
    assert found["lipsum_step_seconds", (("slot", "0"),)] == 0.5
    assert found["lipsum_images_per_second", (("slot", "0"),)] == 64.0
    assert found["lipsum_device_memory_bytes", (("slot", "0"),)] == 2**30
    assert ("lipsum_step_seconds", (("slot", "1"),)) not in found
    assert found["lipsum_attempts_total", (("status", "queued"),)] == 1
    assert found["lipsum_attempts_total", (("status", "lost"),)] == 1
    assert found["lipsum_attempt_failures_total", (("reason", "storage_error"),)] == 1
    assert found["lipsum_worker_storage_errors_total", ()] == 1


def test_the_inference_process_says_what_it_answers_and_holds(tmp_path: Path) -> None:
    found = of_inference(tmp_path)
    question = ("question", "predict")
    assert found["lipsum_inference_answers_total", (question, ("status", "400"))] == 1
    assert found["lipsum_inference_seconds_count", (question,)] == 1
    assert found["lipsum_inference_batch_images_count", ()] == 0
    for name in ("waiting_images", "models", "model_bytes", "graphs", "graphs_coming"):
        assert found[f"lipsum_inference_{name}", ()] == 0


def test_the_dashboard_asks_for_nothing_that_nobody_says(service: Service, tmp_path: Path) -> None:
    build.job(service.database, service.project_id)
    build.claim(service.database)
    service.client.get("/v1/files")
    told = {name for name, _ in of_api(service) | of_worker() | of_inference(tmp_path)}
    board = json.loads((DOCKER / "grafana" / "lipsum.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"lipsum_[a-z_]+", query)}
    assert asked - told == set()
    shown = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in asked}
    every = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in told}
    assert every - shown == set()  # and what is said is looked at


def test_prometheus_knows_where_to_ask() -> None:
    configured = yaml.safe_load((DOCKER / "prometheus.yml").read_text())
    targets = {
        target
        for job in configured["scrape_configs"]
        for part in job["static_configs"]
        for target in part["targets"]
    }
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for target in targets:
        name, port = target.split(":")
        environment = services[name]["environment"]
        assert port in ("8000", "8001", str(environment.get("LIPSUM_WORKER_METRICS_PORT")))
    assert "api" in services["api"]["environment"]["LIPSUM_ALLOWED_HOSTS"]


def test_ready_is_who_reaches_the_database_and_the_store(service: Service) -> None:
    assert service.client.get("/readyz", headers=service.anonymous()).json() == {"status": "ok"}
    objects = service.settings.data_dir / "objects"
    objects.rename(objects.with_name("elsewhere"))
    objects.write_bytes(b"no directory")
    answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "not_ready"
    assert "object store" in answer.json()["error"]["message"]
    assert "retry-after" in answer.headers
    assert service.client.get("/healthz").status_code == 200
