"""Real jobs interrupted on a live service: each ends with the weights of a calm one, bit for bit.

Slow: every interruption costs a fresh start of torch. Many more moments to stop at, without that
cost, are in `tests/integration/worker/test_resume.py`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob
from rich.console import Console

from cli.client import make_client
from cli.jobs import follow
from cli.service import Service
from tests.integration.live import supervisor_pid, until
from tests.jobs import colour_archive, service_settings
from tests.services import Overrides
from tests.trainers import trainer_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LEASE = 6.0  # seconds
WEIGHTS = ("open_clip_model.safetensors", "head.safetensors")


class Live:
    """A service that checkpoints all the time, one file on it, and what a calm job made of it."""

    def __init__(self, service: Service, archive: Path) -> None:
        self.service = service
        self.client: OpenAI = make_client(f"{service.address}/v1", service.api_key)
        with archive.open("rb") as content:
            file = self.client.files.create(file=("colours.zip", content), purpose="fine-tune")
        self._file = file.id
        calm = self.finish(self.start())
        assert (calm.model_extra or {})["attempt"] == 1
        self.calm = self.weights(str(calm.fine_tuned_model))

    def start(self) -> FineTuningJob:
        knobs = {"batch_size": 8, "n_steps": 500, "n_evaluations": 4, "learning_rate": 1e-3}
        method: Any = {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": knobs}}
        return self.client.fine_tuning.jobs.create(
            model="base:tiny", training_file=self._file, method=method, seed=5
        )

    def start_and_checkpoint(self) -> FineTuningJob:
        """A job that trains and has a checkpoint or two."""
        job = self.start()
        objects = self.service.settings.data_dir / "objects" / "jobs" / job.id / "attempts"
        until(lambda: len(list(objects.glob("1/checkpoints/run-0-step-*"))) > 1)
        return job

    def finish(self, job: FineTuningJob) -> FineTuningJob:
        ended = follow(self.client, job.id, Console(quiet=True))
        assert ended.status == "succeeded", ended.error
        return ended

    def weights(self, model_id: str) -> dict[str, str]:
        """SHA-256 of a model's weights as anybody downloads them."""
        found = {}
        for name in WEIGHTS:
            url = f"{self.service.address}/v1/models/{model_id}/files/{name}"
            headers = {"Authorization": f"Bearer {self.service.api_key}"}
            answer = httpx.get(url, headers=headers).raise_for_status()
            found[name] = hashlib.sha256(answer.content).hexdigest()
        return found

    def messages(self, job: FineTuningJob) -> list[str]:
        """Every event's sentence, oldest first; the sequence has no gap."""
        events = list(self.client.fine_tuning.jobs.list_events(job.id, limit=100))
        sequences = [(event.model_extra or {})["sequence"] for event in events]
        assert sequences == list(range(len(sequences), 0, -1))
        return [event.message for event in reversed(events)]

    def check(self, job: FineTuningJob, attempts: int) -> None:
        """It went on from a checkpoint, ended once, and made what the calm job made."""
        ended = self.finish(job)
        extra = ended.model_extra or {}
        assert extra["attempt"] == attempts
        assert self.weights(str(ended.fine_tuned_model)) == self.calm
        said = self.messages(job)
        assert len([line for line in said if "goes on from step" in line]) == attempts - 1
        assert [change["to"] for change in extra["transitions"]].count("succeeded") == 1
        steps = self.client.files.content(
            next(
                id
                for id in ended.result_files
                if self.client.files.retrieve(id).filename == "metrics.csv"
            )
        ).text.splitlines()
        assert len(steps) == 501


@pytest.fixture(scope="module")
def live(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = tmp_path_factory.mktemp("live")
    often = {"lease_seconds": LEASE, "sweep_seconds": 1.0, "checkpoint_seconds": 0.2}
    settings = service_settings(directory, **often, **of_database())
    with Service(settings) as running:
        done = threading.Event()
        keeper = threading.Thread(target=running.run, args=(lambda sentence: None, done.is_set))
        keeper.start()  # what `lipsum up` does: start again what dies
        yield Live(running, colour_archive(directory / "colours.zip"))
        done.set()
        keeper.join()


def test_a_killed_trainer_costs_the_steps_since_its_checkpoint(live: Live) -> None:
    job = live.start_and_checkpoint()
    trainer = trainer_of(supervisor_pid(live.service))
    assert trainer is not None
    os.kill(trainer, signal.SIGKILL)
    live.check(job, attempts=2)


def test_a_stopped_worker_saves_and_loses_nothing(live: Live) -> None:
    job = live.start_and_checkpoint()
    supervisor = supervisor_pid(live.service)
    began = time.monotonic()
    os.kill(supervisor, signal.SIGTERM)  # and `lipsum up` starts another
    until(lambda: not Path(f"/proc/{supervisor}").exists())
    assert time.monotonic() - began < 30
    live.check(job, attempts=2)
    assert not any("failure" in line for line in live.messages(job))


def test_a_job_paused_and_resumed_through_the_sdk(live: Live) -> None:
    job = live.start_and_checkpoint()
    asked = live.client.fine_tuning.jobs.pause(job.id)
    assert (asked.status, (asked.model_extra or {})["stop_for"]) == ("running", "pause")
    jobs: Any = live.client.fine_tuning.jobs
    until(lambda: jobs.retrieve(job.id).status == "paused")
    assert trainer_of(supervisor_pid(live.service)) is None
    assert live.client.fine_tuning.jobs.resume(job.id).status == "queued"
    live.check(job, attempts=2)


def test_a_cancelled_job_leaves_a_model_of_its_last_checkpoint(live: Live) -> None:
    job = live.start_and_checkpoint()
    live.client.fine_tuning.jobs.cancel(job.id, extra_body={"keep_checkpoint": True})
    ended = follow(live.client, job.id, Console(quiet=True))
    assert (ended.status, ended.fine_tuned_model) == ("cancelled", None)
    (kept,) = live.client.fine_tuning.jobs.checkpoints.list(job.id)
    name = kept.fine_tuned_model_checkpoint
    assert name == f"ft:tiny::{job.id.removeprefix('ftjob-')}:step-{kept.step_number}"
    assert 0 < kept.step_number < 500
    assert kept.metrics.step == kept.step_number
    assert kept.metrics.train_loss is not None
    assert live.client.models.retrieve(name).id == name
    assert live.weights(name).keys() == live.calm.keys()
    # Its checkpoints are nobody's any more, and the sweeper has deleted them.
    objects = live.service.settings.data_dir / "objects" / "jobs" / job.id / "attempts"
    until(lambda: not list(objects.glob("*/checkpoints/run-*-step-*")))
