"""The API and the inference process as real processes on free ports, over a tiny random CLIP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from core.bases import register_directory
from core.ids import new_id
from core.jobs.messages import StoredModel
from core.jobs.spec import DatasetReference, JobSpec, ModelReference, SplitReference
from core.learning.mixtures import OutputEnsemble
from core.learning.models import Clip, Head, save_classes, save_directory, save_head
from core.learning.packing import pack
from core.objects import ObjectStore
from core.records import datasets, files, jobs, leases, publishing
from core.records.engine import Database
from core.settings import Settings
from tests.api_service import prepare
from tests.builders import tiny_clip, unit_head
from tests.services import free_ports

ROOT = Path(__file__).parents[2]
STARTUP_SECONDS = 180.0
CLASSES = ("crested owl", "dog", "tabby cat")


@dataclass(frozen=True)
class Running:
    """What a test may know of the running service."""

    settings: Settings
    database: Database
    store: ObjectStore
    project_id: str
    key: str
    clip: Clip  # the weights of the base and of the fine-tuned model
    head: Head  # the trained head of the fine-tuned one
    fine_tuned: str
    other: tuple[Clip, Head]
    mixture: str  # the fine-tuned model and the other, three to one
    spare: str  # a model that a test may delete

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def openai(self, key: str | None = None) -> OpenAI:
        return OpenAI(base_url=f"{self.address}/v1", api_key=key or self.key)


@contextmanager
def running_service(directory: Path, **overrides: Any) -> Iterator[Running]:
    """Both processes for the block's duration, over a data directory of their own."""
    ports = free_ports("port", "serving_port")
    settings = Settings(data_dir=directory / "data", device="cpu", **ports, **overrides)
    database, store, project_id, key = prepare(settings)
    clip, head = tiny_clip(), Head(unit_head(8, 3), 20.0, list(CLASSES), list("odt"), ["{}"], {})
    save_directory(clip, directory / "base")
    register_directory(database, store, "tiny", directory / "base")
    save_directory(clip, directory / "tuned")
    save_head(head, directory / "tuned")
    fine_tuned = publish(database, store, project_id, directory / "tuned")
    other = tiny_clip(1), Head(unit_head(8, 3, 1), 10.0, list(CLASSES), list("odt"), ["{}"], {})
    mixture = publish(
        database,
        store,
        project_id,
        _ensemble(directory / "mixed", [(clip, head), other]),
        mixture={"member_1": fine_tuned, "member_2": "ft:tiny:owls:other"},
    )
    save_directory(tiny_clip(7), directory / "spare")
    spare = publish(database, store, project_id, directory / "spare")
    with processes(settings):
        yield Running(
            settings,
            database,
            store,
            project_id,
            key,
            clip,
            head,
            fine_tuned,
            other,
            mixture,
            spare,
        )
    database.close()


@contextmanager
def processes(settings: Settings) -> Iterator[list[int]]:
    """The API and the inference process, ready to answer; their process ids, in this order."""
    with (
        _process(settings, "run_serving", settings.serving_port) as serving,
        _process(settings, "run_api", settings.port) as api,
    ):
        yield [api.pid, serving.pid]


def publish(
    database: Database, store: ObjectStore, project_id: str, directory: Path, **info: Any
) -> str:
    """The directory as a fine-tuned model, published as a worker publishes it; its id."""
    tar = directory.with_suffix(".tar")
    members = pack(directory, tar)
    job_id = new_id("ftjob")
    model_id = f"ft:tiny:owls:{job_id.removeprefix('ftjob-')}"
    key = f"jobs/{job_id}/attempts/1/model.tar"
    stored = store.put_file(key, tar)
    version = new_id("version")
    spec = JobSpec(
        job_id=job_id,
        method="ft",
        hyperparameters={},
        theta0=ModelReference(id="base:tiny", object_key="b", sha256="b", size=1),
        model_id=model_id,
        datasets=[
            DatasetReference(version=version, archive_key="a", archive_size=1, index_key="i")
        ],
        splits=[SplitReference(name="train", version=version, archive_split="train")],
        seeds=[0],
        alphas=[],
        max_unreadable_fraction=0.01,
    )
    made = StoredModel(
        id=model_id,
        kind="fine_tuned",
        object_key=key,
        sha256=stored.sha256,
        size=stored.size,
        members=members,
        info={"base": "base:tiny", "n_classes": 3, **info},
        seed=0,
    )
    with database.write() as session:
        datasets.create(
            session,
            project_id,
            version,
            archive_key="a",
            archive_size=1,
            archive_sha256="a",
            structure={},
            index_key="i",
        )
        datasets.mark_checked(session, project_id, version, "i", {})
        file = files.create(
            session,
            project_id,
            filename="a.zip",
            purpose="fine-tune",
            size=1,
            sha256="a",
            object_key="a",
        )
        request = {"model": "base:tiny", "training_file": file.id}
        jobs.create(session, project_id, spec, request)
        held = leases.claim(session, "worker", "boot", 60.0)
        assert held is not None
        publishing.publish(session, held, [made], max_attempts=1)
        files.delete(session, project_id, file.id)
    return model_id


@contextmanager
def _process(settings: Settings, function: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """One of the command line's two HTTP processes, ready to answer."""
    script = (
        f"from cli.servers import {function}; from core.settings import Settings; "
        f"{function}(Settings.model_validate_json({settings.model_dump_json()!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        _wait_until_it_answers(process, f"http://127.0.0.1:{port}/healthz")
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the process of {url} ended at start"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} did not answer within {STARTUP_SECONDS} s")


def _ensemble(directory: Path, models: list[tuple[Clip, Head]]) -> Path:
    """A mixture's directory."""
    folders = [f"member_{number}" for number in range(1, len(models) + 1)]
    for folder, (clip, head) in zip(folders, models, strict=True):
        save_directory(clip, directory / folder)
        save_head(head, directory / folder)
    save_classes(models[0][1], directory)
    OutputEnsemble(tuple(folders), (3.0, 1.0)).save(directory)
    return directory
