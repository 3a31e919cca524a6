"""Where projections lead back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student


def anchors(student: Student) -> dict[str, Tensor]:
    """Copies of what trains as it is now, by name; without the head, which stays free."""
    return {
        name: parameter.detach().clone()
        for part, group in student.parameters().items()
        if part != "head"
        for name, parameter in group.items()
    }
