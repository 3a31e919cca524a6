"""One job by two processes: real ones over gloo, on the CPU."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.jobs.messages import Environment, Failed, Finished, Message, Metrics
from core.records.leases import Claim
from core.settings import Settings
from tests.integration.worker.test_resume import Job, StopTraining
from tests.pipeline import Ran, run_here
from worker.environment import trainer_environment
from worker.trainer_process import TrainerProcess

pytestmark = pytest.mark.slow  # each process loads torch

PATIENCE = 120.0  # seconds; more than any machine needs


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in the process that runs the tests


def shared(settings: Settings, count: int = 2) -> Settings:
    return settings.model_copy(update={"trainer_processes": count})


def steps(ran: Ran) -> list[dict[str, float]]:
    return [message.values for message in ran.messages if isinstance(message, Metrics)]


@pytest.mark.parametrize("method", ["lipsum_ft", "flyp"])
def test_two_processes_take_the_step_of_one(tmp_path: Path, method: str) -> None:
    """In float32 the first step alone: what follows is rounding, grown by AdamW."""
    job = Job(tmp_path, method, n_steps=4)
    alone = job.calm()
    both = job.run(shared(job.settings))
    for value in ("loss", "gradient_norm"):
        assert steps(both)[0][value] == pytest.approx(steps(alone)[0][value], rel=1e-5)
    assert len(steps(both)) == len(steps(alone)) == 8  # of two seeds
    assert both.results and {r.split for r in both.results} == {r.split for r in alone.results}
    (facts,) = [m.facts for m in both.messages if isinstance(m, Environment)]
    assert facts["processes"] == 2


@pytest.mark.parametrize("method", ["lipsum_ft", "flyp", "auto"])
def test_what_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, method: str) -> None:
    job = Job(tmp_path, method)
    job.settings = shared(job.settings)
    calm = job.calm()
    stopped = job.run(stop=StopTraining(5))
    assert stopped.stopped
    done = job.run(checkpoints=stopped.checkpoints())
    assert done.digests() == calm.digests()
    assert done.results == calm.results


def test_a_companion_that_is_killed_takes_the_trainer_with_it(tmp_path: Path) -> None:
    with in_training(tmp_path) as (trainer, heard):
        os.kill(companion_of(trainer), signal.SIGKILL)
        while not trainer.has_exited():
            heard.extend(trainer.read(None))
            time.sleep(0.01)
        heard.extend(trainer.read(None))
        trainer.finish()
    assert not [m for m in heard if isinstance(m, Failed | Finished)]  # it is lost, no more
    assert "a companion ended" in "\n".join(trainer.log_tail())


def test_a_trainer_that_is_killed_takes_its_companions_with_it(tmp_path: Path) -> None:
    with in_training(tmp_path) as (trainer, _):
        companion = companion_of(trainer)
        os.kill(trainer.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while is_running(companion):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_stop_is_heeded_with_companions(tmp_path: Path) -> None:
    """SIGTERM goes to all of the group: the companions leave it to the trainer."""
    with in_training(tmp_path) as (trainer, heard):
        trainer.terminate()
        while not trainer.at_end:
            heard.extend(trainer.read(None))
            time.sleep(0.01)
        trainer.finish()
    assert [type(m).__name__ for m in heard[-2:]] == ["Checkpoint", "Stopped"]


@contextmanager
def in_training(directory: Path) -> Iterator[tuple[TrainerProcess, list[Message]]]:
    """A long job's trainer, started as a supervisor does, its data sets checked, that has taken
    steps with a companion; and what it has said."""
    job = Job(directory, "lipsum_ft", n_steps=4000)
    settings = shared(job.settings)
    run_here(settings, job.spec, directory / "check", lambda workspace: None)
    claim = Claim(job.spec.job_id, "project", "token", "owner", "train", 1, 0, job.spec)
    trainer = TrainerProcess(claim, directory / "work", trainer_environment(settings))
    try:
        yield trainer, read_until(trainer, Metrics)
    finally:
        trainer.close()


def read_until(trainer: TrainerProcess, kind: type[Message]) -> list[Message]:
    heard: list[Message] = []
    deadline = time.monotonic() + PATIENCE
    while not any(isinstance(message, kind) for message in heard):
        assert not trainer.at_end, "\n".join(trainer.log_tail())
        assert time.monotonic() < deadline, "\n".join(trainer.log_tail())
        heard += trainer.read(None)
        time.sleep(0.01)
    return heard


def companion_of(trainer: TrainerProcess) -> int:
    children = Path(f"/proc/{trainer.pid}/task/{trainer.pid}/children").read_text().split()
    (found,) = [int(child) for child in children if b"worker.companion" in command_line(int(child))]
    return found


def command_line(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
