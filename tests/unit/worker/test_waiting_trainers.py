"""Trainers that wait for a job: real processes, a real database, a clock that we move."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.settings import Settings
from tests import service_builders as build
from tests.unit.worker.worlds import PATIENCE, TRAINER, MovedClock, World
from worker.environment import trainer_environment
from worker.waiting import handed_over
from worker.waiting_trainers import FIRST_PAUSE, WaitingTrainer, WaitingTrainers


def test_one_waits_for_each_slot_and_is_the_trainer_of_what_comes(world: World) -> None:
    world.supervisor.step(longest=0.0)
    waiting = world.supervisor.waiting.pids
    assert list(waiting) == [0, 1]
    first, second = world.job(["work", "sleep"]), world.job(["work", "sleep"])
    attempts = [world.start(first, "handed"), world.start(second, "handed")]
    assert [attempt.process.pid for attempt in attempts] == list(waiting.values())
    assert [_variable(pid, "CUDA_VISIBLE_DEVICES") for pid in waiting.values()] == ["0,1", "GPU-7"]
    assert world.supervisor.waiting.pids == {}
    for attempt in attempts:  # each prints to its own attempt's log
        world.drive(lambda attempt=attempt: "doing sleep" in attempt.process.log_tail())  # type: ignore[misc]
        assert attempt.process.log_tail() == ["doing work", "doing sleep"]


def test_another_waits_once_a_slot_is_free(world: World) -> None:
    job = world.job(["work"])
    world.drive(lambda: world.read(job).status == "succeeded")
    world.drive(lambda: len(world.supervisor.waiting.pids) == 2)
    assert world.read(job).failures == 0


def test_a_check_leaves_it_to_the_training_that_follows(world: World) -> None:
    world.supervisor.step(longest=0.0)
    waiting = world.supervisor.waiting.pids[0]
    job = build.job(world.database, world.project, checked=False)
    world.drive(lambda: world.read(job).status == "succeeded")
    check, training = [line for line in world.messages(job) if "tiny trainer" in line]
    assert check != training == f"tiny trainer {waiting}"


def test_one_that_dies_costs_the_next_job_nothing_and_is_replaced_after_a_pause(
    world: World,
) -> None:
    world.supervisor.step(longest=0.0)
    killed = world.supervisor.waiting.pids[0]
    os.kill(killed, signal.SIGKILL)
    _until(lambda: _is_zombie(killed))
    job = world.job(["work"])
    world.drive(lambda: world.read(job).status == "succeeded")
    assert (world.read(job).attempt, world.read(job).failures) == (1, 0)
    world.pass_time(FIRST_PAUSE)
    world.drive(lambda: list(world.supervisor.waiting.pids) == [0, 1])
    assert world.supervisor.waiting.pids[0] != killed


def test_an_attempt_that_is_handed_to_a_dead_one_is_handed_back(tmp_path: Path) -> None:
    trainer = WaitingTrainer(TRAINER, trainer_environment(Settings(data_dir=tmp_path)))
    os.kill(trainer.pid, signal.SIGKILL)
    _until(lambda: _is_zombie(trainer.pid))
    assert trainer.hand_over(["--work", "here"], tmp_path / "trainer.log") is None
    assert not Path(f"/proc/{trainer.pid}").exists()


def test_a_stopping_worker_leaves_none(world: World) -> None:
    world.supervisor.step(longest=0.0)
    pids = list(world.supervisor.waiting.pids.values())
    world.supervisor.stop()
    world.supervisor.step(longest=0.0)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert world.supervisor.waiting.pids == {}


def test_none_waits_where_the_operator_does_not_want_it(sqlite_url: str, tmp_path: Path) -> None:
    world = World(sqlite_url, tmp_path, warm_trainers=False)
    job = world.job(["work"])
    world.drive(lambda: world.read(job).status == "succeeded")
    assert world.supervisor.waiting.pids == {}
    world.close()


def test_one_that_cannot_live_is_tried_ever_later(tmp_path: Path) -> None:
    clock = MovedClock()
    for command in (("/no/such/program",), ("/bin/false",)):
        trainers = WaitingTrainers(Settings(data_dir=tmp_path), command, clock)
        pauses = []
        for _ in range(8):
            trainers.step({0})
            _until(lambda trainers=trainers: not trainers.step({0}) and not trainers.pids)  # type: ignore[misc]
            due = trainers.next_due({0})
            assert due is not None
            pauses.append(due - clock.time)
            clock.time = due
        assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
        assert trainers.next_due(set()) is None
        trainers.close()


def test_without_an_order_it_ends_in_order(tmp_path: Path) -> None:
    arguments = ["--waiting", "--reports-fd", "1", "--parent", str(os.getpid())]
    done = subprocess.run(
        [*TRAINER, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=trainer_environment(Settings(data_dir=tmp_path)),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_is_given_at_once_is_not_waited_for() -> None:
    arguments = ["--spec", "spec.json", "--parent", "1"]
    assert handed_over(arguments, load=lambda: sys.exit("loaded")) == arguments


def test_everything_a_job_imports_is_loaded_before_and_no_gpu_is_touched(tmp_path: Path) -> None:
    script = """
import sys
from worker import run
run.load()
import torch
assert not torch.cuda.is_initialized()
before = set(sys.modules)
from tests.service_builders import specification
run._work_of(specification(method="lipsum_ft"), "train")
print(sorted(name for name in set(sys.modules) - before if not name.startswith("tests")
             and name.startswith(("core.learning", "worker", "torch", "open_clip"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=trainer_environment(Settings(data_dir=tmp_path)),
        check=True,
    )
    assert done.stdout == "[]\n"


def _variable(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if line)[name]


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def _until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.01)
