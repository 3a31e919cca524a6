"""One of several processes on the same batches, started by torchrun: twenty steps of each method in
float64. The first writes what it measured and what came out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed

from core.learning.trainer import Trainer
from tests.builders import make_trainer

STEPS = 20

# AdamW divides by a gradient's own size: what is truly zero, as the gradient of a key's bias, is
# rounding divided by this, and an anchor (L2-SP) makes that grow a thousandfold a step at 1e-8.
EPSILON = 1e-4


def run(name: str, micro: int = 8) -> tuple[list[list[float]], dict[str, Tensor]]:
    """Loss and gradient norm of each step, in micro-batches of so many, and what trained."""
    trainer = make_trainer(
        name, double=True, n_steps=STEPS, micro_batch_size=micro, epsilon=EPSILON
    )
    rows = [trainer.train_step() for _ in range(STEPS)]
    measured = [[float(row["loss"]), float(row["gradient_norm"])] for row in rows]
    return measured, trained(trainer)


def trained(trainer: Trainer) -> dict[str, Tensor]:
    trainer.processes.require_same(trainer.student.trained().values())
    return {name: p.detach().cpu().clone() for name, p in trainer.student.trained().items()}


def main() -> None:
    directory, micro, *names = sys.argv[1:]
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    for name in names:
        measured, weights = run(name, int(micro))
        if distributed.get_rank() == 0:
            (Path(directory) / f"{name}.json").write_text(json.dumps(measured))
            save_file(weights, Path(directory) / f"{name}.safetensors")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
