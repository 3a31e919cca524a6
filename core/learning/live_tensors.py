"""Stored values put back into tensors that are in use. Imports without torch, as methods do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def copy_into(live: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Put stored values into live tensors of exactly the same names and shapes.

    Copied and never adopted: a tensor mapped from a file may begin at any address, and kernels
    may round differently there. Raises ValueError naming what differs.
    """
    if live.keys() != stored.keys():
        name = min(live.keys() ^ stored.keys())
        raise ValueError(f"the state {'has no' if name in live else 'has a'} tensor {name}")
    for name, value in stored.items():
        tensor = live[name].detach()
        if tensor.shape != value.shape or tensor.dtype != value.dtype:
            raise ValueError(
                f"{name} is {tuple(value.shape)} {value.dtype} in the state, and "
                f"{tuple(tensor.shape)} {tensor.dtype} here"
            )
        tensor.copy_(value)
