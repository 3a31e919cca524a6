"""One of three processes, whose weights are equal at first and then differ in one bit of one."""

from __future__ import annotations

import torch
from torch import distributed

from core.learning.processes import CameApart, Processes


def main() -> None:
    distributed.init_process_group("gloo")
    processes = Processes.current()
    weights = [torch.ones(5), torch.ones(3, 2, dtype=torch.bfloat16), torch.tensor(4.0)]
    processes.require_same(weights)
    print("same", flush=True)
    if processes.rank == 2:
        weights[1].view(torch.int16)[1, 1] += 1
    try:
        processes.require_same(weights)
    except CameApart:
        print("apart", flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
