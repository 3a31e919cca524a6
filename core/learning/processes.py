"""Several processes on one batch: who computes which part, and how the parts come together.

Results do not depend on how many there are: each takes a contiguous share of a batch's images
and texts, features are gathered in order, and gradients are summed. Every process then takes the
same step from the same weights, so that they stay equal without being sent.

The sums are taken here, after the backward pass, and not by `DistributedDataParallel`: that hooks
into one forward pass of one module, where losses that couple the batch encode twice, methods add
adapters, and some parts train in some steps only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

_BUCKET_BYTES = 32 * 1024 * 1024  # large enough that what a message costs by itself is nothing


class CameApart(RuntimeError):
    """Processes that should hold equal weights do not: what they computed is worth nothing."""


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
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            distributed.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def require_same(self, tensors: Iterable[Tensor]) -> None:
        """Raises `CameApart` unless every process holds the same bits. All must give the same
        tensors, in order."""
        if self.count == 1:
            return
        mine = torch.stack([_checksum(tensor) for tensor in tensors])
        theirs = mine.clone()
        distributed.broadcast(theirs, 0)
        apart = (mine != theirs).sum()
        distributed.all_reduce(apart)
        if int(apart):
            raise CameApart(f"{int(apart)} tensors differ from the first process's")


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in order, those together that travel together: of one dtype and device."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        fits = not bucket or (
            (tensor.dtype, tensor.device) == (bucket[0].dtype, bucket[0].device)
            and sum(other.nbytes for other in bucket) + tensor.nbytes <= _BUCKET_BYTES
        )
        if not fits:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def _checksum(tensor: Tensor) -> Tensor:
    """A number (int64, scalar) that any one other bit changes, and several all but surely."""
    whole_numbers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = tensor.detach().contiguous().reshape(-1).view(whole_numbers[tensor.element_size()])
    return bits.sum(dtype=torch.int64)
