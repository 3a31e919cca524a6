"""Work that is done in smaller parts where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")

# What torch says in other words than `OutOfMemoryError`: of the CPU, and of cuBLAS's own room.
_ALSO = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")

ADVICE = (
    "Use a worker with more memory, or one whose device nobody else uses, a smaller base, or a "
    "method that trains less, such as r_adapter; precision bf16 halves what an image takes."
)


class DoesNotFit(RuntimeError):
    """Memory ran out and there is nothing left to halve."""


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether that is what a fault of torch means."""
    if isinstance(fault, torch.OutOfMemoryError):
        return True
    return isinstance(fault, RuntimeError) and any(words in str(fault) for words in _ALSO)


def in_smaller_parts(work: Callable[[int], Made], n: int) -> Made:
    """`work(n)`, or where memory runs out `work(n // 2)`, and so on down to `work(1)`.

    `work` must be such that it can be begun again when it was broken off anywhere. Raises
    `DoesNotFit` when one is too many.
    """
    while True:
        try:
            return work(n)
        except RuntimeError as fault:
            if not is_out_of_memory(fault):
                raise
            if n == 1:
                raise DoesNotFit(str(fault).splitlines()[0]) from fault
        # Only here are the tensors gone that the fault's traceback held.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        n //= 2


@dataclass
class AtOnce:
    """How many rows pass through a tower at once: so many, until they were too many."""

    most: int

    def encode(self, work: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """`work` on all rows (N, ...), in parts. Raises `DoesNotFit` for a row too large."""
        asked = min(self.most, len(rows))

        def in_parts(n: int) -> Tensor:
            found = torch.cat([work(part) for part in torch.split(rows, n)])
            if n < asked:
                self.most = n
            return found

        return in_smaller_parts(in_parts, asked)
