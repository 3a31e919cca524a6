"""Equal steps for equal input: deterministic kernels where they are asked for, and on the CPU.

On the CPU the only kernel of ours that is otherwise free to round differently from run to run
is the gradient of an indexed read (captions that occur twice in a batch) by several threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def is_repeatable(device: torch.device, wanted: bool) -> bool:
    """Whether a run repeats itself bit for bit: always on the CPU, elsewhere when asked to."""
    return device.type == "cpu" or wanted


@contextmanager
def repeatable_kernels(on: bool) -> Iterator[None]:
    """Deterministic kernels only, or what was set before. Raises RuntimeError, inside, where
    torch has none."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    knobs: Any = torch.utils.deterministic
    fills = knobs.fill_uninitialized_memory
    if on:
        torch.use_deterministic_algorithms(True)
        knobs.fill_uninitialized_memory = False  # a check, and slow
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
        knobs.fill_uninitialized_memory = fills
