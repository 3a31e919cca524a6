"""Projections of the weights after each update: they keep theta near theta0 under any loss.

The loop calls `before_update` when the gradients are there and `after_update` when the optimiser
has moved the weights; the gradients are still the same then. Heads are left free, as in the
papers. Everything else that trains is kept near theta0, adapters near what they begin as.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.learning.projections.base import Projection
from core.learning.projections.ftp import FastTrainableProjection
from core.learning.projections.spd import SelectiveProjectionDecay

if TYPE_CHECKING:
    from core.learning.student import Student


def make_projection(
    name: Literal["none", "ftp", "spd"], strength: float, student: Student
) -> Projection | None:
    """The projection of that name around the student's present weights; None for "none"."""
    if name == "ftp":
        return FastTrainableProjection(student, strength)
    if name == "spd":
        return SelectiveProjectionDecay(student, strength)
    return None
