"""Too little memory, ordered by a test: torch's own fault where too many images come at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import VisionTransformer
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook


@dataclass
class Memory:
    """Room for so many images in an image tower, of whichever model. `faults` counts its ends."""

    images: int
    training_only: bool = False  # what runs without gradient has room enough
    fails_at: int | None = None  # the pass, from 1, that fails whatever its size; once
    passes: int = 0
    faults: int = 0

    def before_forward(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not isinstance(module, VisionTransformer):
            return
        if self.training_only and not torch.is_grad_enabled():
            return
        self.passes += 1
        if len(inputs[0]) > self.images or self.passes == self.fails_at:
            self.faults += 1
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate room for {len(inputs[0])} images.\nMore."
            )


@contextmanager
def memory_of(images: int, **how: Any) -> Iterator[Memory]:
    """Inside, image towers take no more than so many images at once."""
    memory = Memory(images, **how)
    handle = register_module_forward_pre_hook(memory.before_forward)
    try:
        yield memory
    finally:
        handle.remove()
