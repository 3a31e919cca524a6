"""The trainer's duties in this process: the real pipeline without waiting for a new interpreter."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from core.jobs.checkpoint import CheckpointReference
from core.jobs.messages import (
    Artifact,
    Checkpoint,
    Event,
    Message,
    SplitResult,
    StoredModel,
    decode,
)
from core.jobs.spec import JobSpec
from core.objects import ObjectStore
from core.settings import Settings
from worker.pipeline.check import check_datasets
from worker.pipeline.reports import Reporter
from worker.pipeline.training import run_training
from worker.pipeline.workspace import Workspace
from worker.stop_signal import StopRequested, StopSignal


@dataclass(frozen=True)
class Ran:
    """What a duty reported, and the objects it made."""

    store: ObjectStore
    messages: list[Message]
    stopped: bool = False  # it was asked to stop and did

    @property
    def events(self) -> list[Event]:
        return [message for message in self.messages if isinstance(message, Event)]

    @property
    def results(self) -> list[SplitResult]:
        return [message for message in self.messages if isinstance(message, SplitResult)]

    @property
    def models(self) -> list[StoredModel]:
        return [message for message in self.messages if isinstance(message, StoredModel)]

    @property
    def artifacts(self) -> dict[str, Artifact]:
        return {m.filename: m for m in self.messages if isinstance(m, Artifact)}

    def row(self, model: str, split: str, metric: str) -> SplitResult:
        (found,) = [
            r for r in self.results if (r.model, r.split, r.metric) == (model, split, metric)
        ]
        return found

    def metrics(self, model: str, split: str) -> set[str]:
        return {r.metric for r in self.results if (r.model, r.split) == (model, split)}

    def document(self) -> dict[str, Any]:
        """`results.json`."""
        found = json.loads(self.store.read_bytes(self.artifacts["results.json"].object_key))
        assert isinstance(found, dict)
        return found

    def predictions(self) -> list[dict[str, Any]]:
        content = self.store.read_bytes(self.artifacts["predictions.parquet"].object_key)
        return list(pq.read_table(io.BytesIO(content)).to_pylist())

    def checkpoints(self, before: Sequence[CheckpointReference] = ()) -> list[CheckpointReference]:
        """What the next attempt is handed: the last two, of this one and those `before` it."""
        found = list(reversed(before))
        for message in self.messages:
            if isinstance(message, Checkpoint):
                number = found[-1].number + 1 if found else 1
                found.append(
                    CheckpointReference(
                        number=number, run=message.run, step=message.step, parts=message.parts
                    )
                )
        return found[-2:][::-1]

    def digests(self) -> dict[str, str]:
        """SHA-256 of everything that the job made."""
        models = {model.id: model.sha256 for model in self.models}
        return models | {name: artifact.sha256 for name, artifact in self.artifacts.items()}

    def member(self, model: StoredModel, name: str) -> bytes:
        """A file of a stored model's tar."""
        offset, size = model.members[name]
        return self.store.read_bytes(model.object_key)[offset : offset + size]


def make_settings(directory: Path, **changes: Any) -> Settings:
    """A data directory under the one given, one thread, no GPU."""
    return Settings(data_dir=directory / "data", trainer_threads=1, device="cpu", **changes)


def run_here(
    settings: Settings,
    spec: JobSpec,
    directory: Path,
    duty: Callable[[Workspace], None] = run_training,
    *,
    stop: StopSignal | None = None,
    checkpoints: Sequence[CheckpointReference] = (),
) -> Ran:
    """Check the job's datasets and carry out a duty. One thread, as a trainer in tests has.

    A second run of one job is its second attempt, so that its objects leave the first's alone.
    """
    stopped = False
    directory.mkdir(parents=True, exist_ok=True)
    store = ObjectStore.from_settings(settings)
    earlier = {item.key.split("/")[3] for item in store.list(f"jobs/{spec.job_id}")}
    reports = directory / "reports"
    descriptor = os.open(reports, os.O_WRONLY | os.O_CREAT)
    reporter = Reporter(descriptor)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        workspace = Workspace(
            spec, len(earlier) + 1, settings, store, reporter, directory, tuple(checkpoints)
        )
        check_datasets(workspace)
        reporter.stop = stop or reporter.stop
        duty(workspace)
    except StopRequested:
        stopped = True
    finally:
        torch.set_num_threads(threads)
        os.close(descriptor)
    messages = [decode(line) for line in reports.read_bytes().splitlines()]
    return Ran(store, messages, stopped)
