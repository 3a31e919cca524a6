"""What a companion does: the steps of each run, from where the trainer's stands.

It reads two lines of JSON for a run, `{"run": N, "meeting": PATH}`, to make ready and meet the
others, and `{"state": PATH, "sha256": DIGEST}`, to begin.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from core.learning.memory import DoesNotFit, is_out_of_memory
from core.learning.models import pick_device
from core.learning.snapshot import Snapshot, restore
from core.learning.stored_state import read_state
from worker.pipeline.beginnings import Beginnings
from worker.pipeline.companions import OUT_OF_MEMORY, meeting
from worker.pipeline.plan import planned_runs
from worker.pipeline.workspace import Workspace


def follow(workspace: Workspace, rank: int, count: int, lines: Iterable[str]) -> int:
    """Every run that is announced; the process's exit status.

    Raises what ends a run otherwise, `core.learning.processes.CameApart` among it.
    """
    if pick_device(workspace.settings.device).type == "cuda":
        torch.cuda.set_device(rank)
    try:
        _follow(Beginnings.open(workspace), rank, count, iter(lines))
    except RuntimeError as fault:
        if not isinstance(fault, DoesNotFit) and not is_out_of_memory(fault):
            raise
        print(fault, file=sys.stderr)
        return OUT_OF_MEMORY
    return 0


def _follow(beginnings: Beginnings, rank: int, count: int, lines: Iterator[str]) -> None:
    planned = planned_runs(beginnings.workspace.spec)
    for line in lines:
        order = json.loads(line)
        with (
            meeting(Path(order["meeting"]), rank, count, beginnings.clip.device),
            beginnings.trainer(planned[order["run"]], _cannot_be_halved) as trainer,
        ):
            state = json.loads(next(lines))
            tensors, facts = read_state(Path(state["state"]), state["sha256"])
            restore(trainer, Snapshot(facts["step"], tensors, facts, None))
            trainer.follow()


def _cannot_be_halved(step: int, images: int) -> None:
    """Several processes would have to agree on it; there the fault goes out instead."""
    raise AssertionError(f"step {step} was halved to {images} images in one of several processes")
