"""SPD, selective projection decay: pulls back the tensors whose progress has become inconsistent.

    theta~  what the optimiser made of theta_{t-1}
    c_t     = -<g_t, theta_{t-1} - theta0>
    r_t     = max(0, ||theta~ - theta0|| - ||theta_{t-1} - theta0||) / ||theta~ - theta0||
    theta_t = theta~ - lambda r_t (theta~ - theta0)   if c_t < 0,   else theta~

for each tensor by itself, with its L2 norm. c_t < 0 says that following the gradient leads back
towards theta0; then the update may not lead further away. lambda = 1 projects onto the distance
that theta_{t-1} had, less gives way in part, more leads further back.

Recipe: lambda 1, Adam without weight decay, which SPD replaces. Holds theta0: the memory of one
more model.
Source: Tian, Huang and Kira, "Rethinking weight decay for robust fine-tuning of foundation
models", NeurIPS 2024, arXiv 2411.01713, equations 3, 4 and 9. The head is left free, as for FTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.learning.live_tensors import copy_into
from core.learning.projections.anchors import anchors
from core.learning.projections.base import Projection

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student

SMALLEST = 1e-30  # a distance of zero divides nothing by it


class SelectiveProjectionDecay(Projection):
    """SPD around the weights that `student` has now; `weight` is lambda."""

    def __init__(self, student: Student, weight: float) -> None:
        self._weight = weight
        self._theta0 = anchors(student)
        self._before: dict[str, tuple[Tensor, Tensor]] = {}  # -c_t and the distance, this step's

    def before_update(self, student: Student) -> None:
        import torch

        live = student.trained()
        self._before = {}
        with torch.no_grad():
            for name, theta0 in self._theta0.items():
                gradient = live[name].grad
                if gradient is not None:
                    deviation = live[name] - theta0
                    self._before[name] = ((gradient * deviation).sum(), deviation.norm())

    def after_update(self, student: Student, step: int) -> None:
        import torch

        live = student.trained()
        with torch.no_grad():
            for name, (back, before) in self._before.items():
                theta0 = self._theta0[name]
                distance = (live[name] - theta0).norm()
                growth = (distance - before).clamp(min=0) / distance.clamp(min=SMALLEST)
                live[name].lerp_(theta0, (back > 0) * (self._weight * growth))

    def state(self) -> dict[str, Tensor]:
        return {}  # what it notes before an update is spent by the same step

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        copy_into({}, stored)
