"""The learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up from zero, then a cosine to zero."""

    peak: float
    total_steps: int
    warmup_steps: int

    def rate(self, step: int) -> float:
        """The rate of the step that counts from 0."""
        return learning_rate(
            step,
            peak=self.peak,
            total_steps=self.total_steps,
            warmup_steps=self.warmup_steps,
        )


def learning_rate(step: int, *, peak: float, total_steps: int, warmup_steps: int) -> float:
    """Linear warm-up from zero, then a cosine to zero.

    `step` counts from 0. The first step of a run with warm-up has rate 0, as the official
    Lipsum-FT code has it (optax evaluates its schedule at the count before the update).
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    if total_steps <= warmup_steps:
        return peak
    progress = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
