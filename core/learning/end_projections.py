"""The linear maps that end both towers, which some penalties are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.learning.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.models import Clip

_MISSING = "does not end in a linear projection of open_clip's, which the penalty is about"


def end_projections(clip: Clip) -> tuple[Tensor, Tensor]:
    """W_v (width_v, D) and W_t (width_t, D), live, of open_clip's own towers; without biases.

    Raises ValueError naming the tower that has none.
    """
    visual: Any = clip.visual
    pool = getattr(visual, "attnpool", None)  # of a ResNet
    w_v = getattr(visual, "proj", None) if pool is None else pool.c_proj
    text: Any = getattr(clip.model, "text", clip.model)
    return _matrix(w_v, "image"), _matrix(getattr(text, "text_projection", None), "text")


def lacks_projections(base: Architecture) -> str | None:
    """Which tower `end_projections` would refuse, as the end of a sentence; None if neither."""
    for tower, kind in (("image", base.image_tower), ("text", base.text_tower)):
        if kind == "other":
            return f"this base's {tower} tower {_MISSING}"
    return None


def _matrix(projection: Any, tower: str) -> Tensor:
    """(width, D) of a matrix as it is, or of a Linear, which keeps it transposed."""
    weight = getattr(projection, "weight", None)
    matrix: Tensor | None = projection if weight is None else weight.T
    if matrix is None or getattr(matrix, "ndim", 0) != 2:
        raise ValueError(f"this base's {tower} tower {_MISSING}; take flyp, which needs none")
    return matrix
