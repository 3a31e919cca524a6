"""The real trainer, its supervisor and its worker killed mid-training: one model comes out.

Slow: each kill costs a fresh start of torch. The same with a small trainer, and many more ways
to die, is in `tests/integration/worker/test_crashes.py`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.client import make_client
from cli.jobs import follow
from cli.service import Service
from tests.integration.live import pid_of, step_of, supervisor_pid, until
from tests.jobs import colour_archive, service_settings
from tests.services import Overrides
from tests.trainers import trainer_of

LEASE = 6.0  # seconds

pytestmark = pytest.mark.slow


@pytest.fixture
def service(of_database: Overrides, tmp_path: Path) -> Iterator[Service]:
    often = {"lease_seconds": LEASE, "sweep_seconds": 1.0}
    settings = service_settings(tmp_path, **often, **of_database())
    with Service(settings) as running:
        done = threading.Event()
        keeper = threading.Thread(target=running.run, args=(lambda sentence: None, done.is_set))
        keeper.start()  # what `lipsum up` does: start again what dies
        yield running
        done.set()
        keeper.join()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["consumer", "supervisor", "trainer"])
def test_a_killed_process_costs_a_start_and_nothing_else(
    service: Service, tmp_path: Path, victim: str
) -> None:
    client = make_client(f"{service.address}/v1", service.api_key)
    with colour_archive(tmp_path / "colours.zip").open("rb") as content:
        file = client.files.create(file=("colours.zip", content), purpose="fine-tune")
    knobs = {"batch_size": 8, "n_steps": 600, "n_evaluations": 2}
    job = client.fine_tuning.jobs.create(
        model="base:tiny",
        training_file=file.id,
        method={"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": knobs}},  # type: ignore[arg-type]
    )
    until(lambda: step_of(client, job.id) > 0)
    supervisor = supervisor_pid(service)
    trainer = trainer_of(supervisor)
    consumer = pid_of(supervisor, "worker.consumer")
    assert trainer is not None
    assert consumer is not None
    os.kill(
        {"consumer": consumer, "supervisor": supervisor, "trainer": trainer}[victim], signal.SIGKILL
    )
    if victim != "consumer":
        until(lambda: not Path(f"/proc/{trainer}").exists())

    ended = follow(client, job.id, Console(quiet=True))
    assert ended.status == "succeeded", ended.error
    extra = ended.model_extra or {}
    assert extra["attempt"] == (1 if victim == "consumer" else 2)
    keys = [(r["seed"], r["model"], r["split"], r["metric"]) for r in extra["results"]]
    assert len(keys) == len(set(keys))
    assert len([key for key in keys if key[3] == "accuracy"]) == 3 * 3  # models, splits
    made = {model.id for model in client.models.list() if model.id.startswith("ft:")}
    steps = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert made - {step.fine_tuned_model_checkpoint for step in steps} == {ended.fine_tuned_model}
    if victim == "consumer":
        until(lambda: pid_of(supervisor_pid(service), "worker.consumer"))
