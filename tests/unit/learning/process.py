"""One of several processes on the same batches: a few steps of each method, numbers on stdout."""

from __future__ import annotations

import sys

from torch import distributed

from tests.builders import make_trainer


def steps_of(name: str) -> list[float]:
    """Loss and gradient norm of three steps in float64, in micro-batches of two."""
    trainer = make_trainer(name, double=True, micro_batch_size=2)
    steps = [trainer.train_step() for _ in range(3)]
    return [float(step[value]) for step in steps for value in ("loss", "gradient_norm")]


def main() -> None:
    rendezvous, count, rank, *names = sys.argv[1:]
    distributed.init_process_group(
        "gloo", init_method=rendezvous, world_size=int(count), rank=int(rank)
    )
    for name in names:
        print(*steps_of(name), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
