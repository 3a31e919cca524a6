"""Several processes for one job: a trainer and its companions, which share every step of its runs.

The trainer alone speaks with the supervisor, scores, keeps checkpoints and stores what comes of a
run; companions (`worker.companion`) do nothing but take steps. They know no more of where a run
stands than what they are handed before its first step, so that nothing has to be agreed on
meanwhile: who is stopped, loses its worker or fails takes the others with it, and the job goes on
from its last checkpoint as ever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import structlog
import torch
from torch import distributed

from core.jobs.messages import Failed
from core.learning import snapshot
from core.learning.memory import ADVICE
from core.learning.stored_state import write_state
from core.learning.trainer import Trainer
from core.settings import Settings
from worker.environment import child_environment
from worker.pipeline.reports import Reporter, SupervisorGone
from worker.pipeline.workspace import Workspace

COMMAND = (sys.executable, "-m", "worker.companion")
OUT_OF_MEMORY = 3  # a companion's exit status

# While the first process scores a split the others wait in a step, for as long as that takes.
# Whoever hangs is found by the supervisor, which sees no progress.
_PATIENCE = timedelta(days=30)

_SECONDS_TO_DIE = 5.0  # between a process's last word on a socket and its end


def process_count(settings: Settings, device: torch.device) -> int:
    """How many processes share a job's steps: as many as asked for, else one for each GPU.

    Raises ValueError for more than there are GPUs.
    """
    gpus = torch.cuda.device_count() if device.type == "cuda" else None
    asked = settings.trainer_processes
    if asked is not None and gpus is not None and asked > gpus:
        raise ValueError(f"trainer_processes is {asked}, and the slot sees {gpus} GPUs")
    return asked or gpus or 1


@contextmanager
def meeting(place: Path, rank: int, count: int, device: torch.device) -> Iterator[None]:
    """Inside, `core.learning.processes` finds the others. Nothing of it leaves this machine."""
    if sys.platform == "linux":
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, "lo")
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=distributed.FileStore(str(place), count),  # type: ignore[attr-defined]
        rank=rank,
        world_size=count,
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


class Companions:
    """Those of one job, started when the first run begins. Leaving the block ends them."""

    def __init__(self, workspace: Workspace, device: torch.device) -> None:
        self._workspace = workspace
        self._device = device
        self._count = process_count(workspace.settings, device)
        self._processes: list[subprocess.Popen[str]] = []
        self._watches: list[threading.Thread] = []
        self._ending = False

    def __enter__(self) -> Companions:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @contextmanager
    def joined(self, run: int) -> Iterator[Company]:
        """Inside, the run's trainer is made and takes its steps with the companions."""
        if self._count == 1:
            yield Company([], self._workspace.directory, run)
            return
        if not self._processes:
            self._processes = [self._start(rank) for rank in range(1, self._count)]
        company = Company(self._processes, self._workspace.directory, run)
        with meeting(company.prepare(), 0, self._count, self._device):
            try:
                yield company
            except BaseException as fault:
                if isinstance(fault, RuntimeError):
                    self._go_with_the_dead()
                self._end()  # a run cannot be left in the middle, and they know of no other
                raise

    def _start(self, rank: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *COMMAND,
                *("--spec", str(self._specification())),
                *("--work", str(self._workspace.directory)),
                *("--attempt", str(self._workspace.attempt)),
                *("--rank", str(rank)),
                *("--count", str(self._count)),
                *("--parent", str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            text=True,
            env=child_environment(self._workspace.settings),
        )
        watch = threading.Thread(target=self._watch, args=(process, rank), daemon=True)
        self._watches.append(watch)
        watch.start()
        return process

    def _specification(self) -> Path:
        path = self._workspace.directory / "companions.json"
        path.write_text(self._workspace.spec.model_dump_json(), encoding="utf-8")
        return path

    def _watch(self, process: subprocess.Popen[str], rank: int) -> None:
        """Nobody can go on without it: the others wait in a step for what it will never send."""
        status = process.wait()
        if self._ending:
            return
        structlog.get_logger("trainer").error("a companion ended", rank=rank, status=status)
        if status == OUT_OF_MEMORY:
            _report_too_little_memory(self._workspace.reporter)
        os._exit(1)

    def _go_with_the_dead(self) -> None:
        """A step that a companion's death broke off says only that somebody is gone: the watch
        says who, and ends this process."""
        for watch in self._watches:
            watch.join(_SECONDS_TO_DIE / len(self._watches))

    def _end(self) -> None:
        self._ending = True
        for process in self._processes:
            process.kill()  # between two runs they hold nothing that anybody needs
        for watch in self._watches:
            watch.join()
        self._processes, self._watches, self._ending = [], [], False


@dataclass(frozen=True)
class Company:
    """The companions in one run."""

    processes: list[subprocess.Popen[str]]
    directory: Path
    run: int

    def prepare(self) -> Path:
        """Has them make ready for the run; where they will be met."""
        place = self.directory / f"run-{self.run}.meeting"
        place.unlink(missing_ok=True)
        self._say({"run": self.run, "meeting": str(place)})
        return place

    def begin(self, trainer: Trainer) -> None:
        """Puts them where the trainer stands. They take its next step, and all after."""
        if not self.processes:
            return
        state = snapshot.take(trainer)
        path = self.directory / f"run-{self.run}.begin.safetensors"
        digest = write_state(path, state.tensors, state.facts)
        self._say({"state": str(path), "sha256": digest})

    def _say(self, order: dict[str, int | str]) -> None:
        for process in self.processes:
            assert process.stdin is not None  # as it was started
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()


def _report_too_little_memory(reporter: Reporter) -> None:
    try:
        reporter.send(
            Failed(
                reason="out_of_memory",
                message="Memory does not suffice in one of several processes, which do not take "
                f"smaller parts by themselves. Set micro_batch_size. {ADVICE}",
            )
        )
    except SupervisorGone:
        return
