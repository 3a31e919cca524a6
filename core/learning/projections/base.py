"""What a projection is, and what it says of its state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


class Projection(ABC):
    """What happens to the weights around the optimiser's update."""

    @abstractmethod
    def before_update(self, student: Student) -> None:
        """Gradients are there; the weights are what the step began with."""

    @abstractmethod
    def after_update(self, student: Student, step: int) -> None:
        """The optimiser has moved the weights. `step` counts from 0."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What it remembers from one step to the next, by name; nothing of theta0, which whoever
        resumes has."""

    @abstractmethod
    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Remember what `state` had. Raises ValueError for other tensors."""
