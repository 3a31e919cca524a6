"""What a user of a drawn world would do with it: how many images, and the recipe all methods share.

The recipe is the demo's, chosen by ID validation accuracy there (docs/demo.md); `own` holds what
a method needs otherwise at this size, chosen the same way. No shifted image was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.learning.recipes import find_recipe


@dataclass(frozen=True)
class Task:
    """Images of each class, and hyperparameters by method where they are not the shared ones."""

    train_per_class: int
    test_per_class: int
    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Of the recipe that all training methods share."""
        return dict(find_recipe("demo").hyperparameters)


# R-Adapter's published memory, m 0.999, is of runs of 25 000 steps; after 500 it would still hold
# three fifths of zero-shot. With m 0.99, ID validation accuracy on the demo, seed 1000, at rates
# 1e-3, 3e-3 and 1e-2: 81.0, 81.3, 81.4 %.
_ADAPTERS = {"learning_rate": 1e-2, "ema_decay": 0.99}

# About 10 000 images to train on and 2 000 a split to test on, in each world.
TASKS: dict[str, Task] = {
    "demo": Task(400, 80, own={"r_adapter": _ADAPTERS}),
    "places": Task(1000, 250, own={"r_adapter": _ADAPTERS}),
    "signs": Task(600, 125, own={"r_adapter": _ADAPTERS}),
    "plankton": Task(600, 125, own={"r_adapter": _ADAPTERS}),
}
"""By the world's name."""
