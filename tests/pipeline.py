"""A trainer's work in the test's own process: the real pipeline without a new start of torch."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from core.jobs.messages import Finished, Message, StoredModel, decode
from core.jobs.spec import JobSpec, ModelReference
from core.objects import ObjectStore
from core.settings import Settings
from worker.pipeline.check import check_datasets
from worker.pipeline.reports import Reporter
from worker.pipeline.workspace import Workspace
from worker.run import perform


def run_here(settings: Settings, spec: JobSpec, work: Path, duty: str = "train") -> list[Message]:
    """Everything that was reported. Raises what the duty raises."""
    work.mkdir(parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    lines: list[bytes] = []

    def read() -> None:
        with os.fdopen(ours, "rb") as pipe:
            lines.extend(pipe)

    reader = threading.Thread(target=read)
    reader.start()
    store = ObjectStore.from_settings(settings)
    workspace = Workspace(spec, 1, settings, store, Reporter(theirs), work)
    try:
        if duty == "check":
            check_datasets(workspace)
        else:
            assert perform(workspace) == Finished()
    finally:
        os.close(theirs)
        reader.join()
    return [decode(line) for line in lines]


def reference_of(model: StoredModel) -> ModelReference:
    """The stored model as a specification names it."""
    return ModelReference(
        id=model.id, object_key=model.object_key, sha256=model.sha256, size=model.size
    )
