"""Our service as a user has it: API and inference process, a base and a model made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.load import request
from core.bases import register_directory
from core.settings import Settings
from tests.api_service import prepare
from tests.integration.running import processes, publish
from tests.services import free_port

JPEG = "image/jpeg"


@dataclass(frozen=True)
class Ours:
    """What the clients need."""

    port: int
    key: str
    base: str
    tuned: str
    api_pid: int
    serving_pid: int

    def classify(self, jpeg: bytes, model: str | None = None) -> bytes:
        """A request to one model, by default the fine-tuned one."""
        path = f"/v1/models/{model or self.tuned}/image-classification"
        return request(path, jpeg, kind=JPEG, key=self.key)

    def compare(self, jpeg: bytes) -> bytes:
        """A request to both."""
        path = f"/v1/classify?model={self.base}&model={self.tuned}"
        return request(path, jpeg, kind=JPEG, key=self.key)


@contextmanager
def service(directory: Path, base: Path, tuned: Path, **changes: Any) -> Iterator[Ours]:
    """Over the model directories `base` and `tuned`, for the block's duration."""
    ports = {"port": free_port(), "serving_port": free_port()}
    settings = Settings(data_dir=directory / "data", device="cpu", **ports, **changes)
    database, store, project_id, key = prepare(settings)
    base_id = register_directory(database, store, "bench", base).id
    tuned_id = publish(database, store, project_id, tuned, base=base_id)
    try:
        with processes(settings) as (api_pid, serving_pid):
            yield Ours(settings.port, key, base_id, tuned_id, api_pid, serving_pid)
    finally:
        database.close()
