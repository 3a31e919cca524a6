"""Our service as a user has it: API and inference process, a base and a model made of it."""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.serving.graphs import ASKED_OFTEN
from benchmarks.serving.load import closed, request
from benchmarks.serving.models import CLASSES, TEMPLATES, Served
from core.access.limits import Limits
from core.bases import register_directory
from core.records import limits
from core.settings import Settings
from tests.api_service import add_key, prepare
from tests.integration.running import processes, publish
from tests.services import free_ports

JPEG = "image/jpeg"
GRAPH_SECONDS = 300.0


@dataclass(frozen=True)
class Neighbour:
    """Another project of the same service, with the same fine-tuned model."""

    key: str
    tuned: str

    def classify(self, image: bytes, kind: str = JPEG) -> bytes:
        """A request to its model."""
        return _classify(self.key, self.tuned, image, kind)


@dataclass(frozen=True)
class Ours:
    """What the clients need."""

    port: int
    serving_port: int
    key: str
    base: str
    tuned: str
    others: list[str]
    neighbour: Neighbour
    api_pid: int
    serving_pid: int

    def classify(self, image: bytes, model: str | None = None) -> bytes:
        """A request to the fine-tuned model, or another that has a head."""
        return _classify(self.key, model or self.tuned, image, JPEG)

    def zero_shot(self, jpeg: bytes) -> bytes:
        """A request to the base, for the same classes."""
        body = {
            "inputs": base64.b64encode(jpeg).decode(),
            "parameters": {"candidate_labels": CLASSES, "templates": TEMPLATES},
        }
        path = f"/v1/models/{self.base}/zero-shot-image-classification"
        return request(path, json.dumps(body).encode(), kind="application/json", key=self.key)

    def settle(self, pictures: Sequence[bytes]) -> None:
        """Ask both models until they are served as they will be from then on."""
        requests, answers = [self.compare(picture) for picture in pictures], 0
        while answers < ASKED_OFTEN:
            answers += len(closed(self.port, requests, 4, 1.0).latencies)
        deadline = time.monotonic() + GRAPH_SECONDS
        while not re.search(r"^lipsum_inference_graphs_coming 0", self._metrics(), re.MULTILINE):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no graph within {GRAPH_SECONDS} s")
            time.sleep(0.5)

    def _metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.serving_port}/metrics", trust_env=False).text

    def compare(self, jpeg: bytes) -> bytes:
        """A request to both, which answer for the fine-tuned one's classes."""
        path = f"/v1/classify?model={self.base}&model={self.tuned}"
        return request(path, jpeg, kind=JPEG, key=self.key)


@contextmanager
def service(
    directory: Path,
    base: Path,
    tuned: Path,
    others: Sequence[Path] = (),
    neighbours_limit: int | None = None,
    **changes: Any,
) -> Iterator[Ours]:
    """Over the model directories `base`, `tuned` and `others`, for the block's duration. The limit
    is in requests a minute."""
    ports = free_ports("port", "serving_port")
    settings = Settings(data_dir=directory / "data", **({"device": "cpu"} | ports | changes))
    database, store, project_id, key = prepare(settings)
    base_id = register_directory(database, store, "bench", base).id
    tuned_id, *other_ids = (
        publish(database, store, project_id, each, base=base_id) for each in (tuned, *others)
    )
    neighbour_id, neighbours_key = add_key(database, "neighbour")
    with database.write() as session:
        limits.put(
            session, neighbour_id, neighbour_id, Limits(requests_per_minute=neighbours_limit)
        )
    neighbours_model = publish(database, store, neighbour_id, tuned, base=base_id)
    try:
        with processes(settings) as (api_pid, serving_pid):
            yield Ours(
                settings.port,
                settings.serving_port,
                key,
                base_id,
                tuned_id,
                other_ids,
                Neighbour(neighbours_key, neighbours_model),
                api_pid,
                serving_pid,
            )
    finally:
        database.close()


@contextmanager
def settled(served: Served, pictures: Sequence[bytes], **changes: Any) -> Iterator[Ours]:
    """Over these two models in a directory of its own, once it answers as it will from then on."""
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-ours-") as folder,
        service(Path(folder), served.base, served.tuned, **changes) as running,
    ):
        running.settle(pictures)
        yield running


def _classify(key: str, model: str, image: bytes, kind: str) -> bytes:
    return request(f"/v1/models/{model}/image-classification", image, kind=kind, key=key)
