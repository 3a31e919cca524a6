"""Several processes on one batch: who computes which part, and how the parts come together.

Results do not depend on how many there are: each takes a contiguous share of a batch's images
and texts, features are gathered in order, and gradients are summed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Processes:
    """This process among `count`. One process alone needs no process group."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Processes:
        """Those of torch.distributed's default group, where it is initialised."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def share(self, n: int) -> slice:
        """This process's part of n things; parts differ by one at most."""
        return slice(n * self.rank // self.count, n * (self.rank + 1) // self.count)

    def gather(self, rows: Tensor, n: int) -> Tensor:
        """All n rows in order, from every process's share of them. No gradient flows."""
        if self.count == 1:
            return rows
        longest = -(-n // self.count)
        padded = torch.zeros(longest, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(parts, padded)
        shares = [Processes(rank, self.count).share(n) for rank in range(self.count)]
        lengths = [share.stop - share.start for share in shares]
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over processes. All must give the same ones, in order."""
        if self.count == 1:
            return
        for tensor in tensors:
            distributed.all_reduce(tensor)
