"""What every format shares: the refusal, the comparison, and the files that go along."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor

from core.learning.calibration import CALIBRATION_FILE
from core.learning.models import CLASSES_FILE, HEAD_FILE, Clip
from core.learning.statistics import STATISTICS_FILE

COMPARED = 4  # random images that what was written is tried on
LARGEST_DIFFERENCE = 1e-4  # of a unit feature's coordinates, in float32

_ALONG = (HEAD_FILE, CLASSES_FILE, STATISTICS_FILE, CALIBRATION_FILE)


class CannotExport(ValueError):
    """A model that the format cannot hold, saying what of it and why."""


def random_images(clip: Clip) -> Tensor:
    """(COMPARED, 3, S, S): normalised pixels of no picture."""
    draws = torch.Generator().manual_seed(0)
    side = clip.image_size
    return torch.randn(COMPARED, 3, side, side, generator=draws)


def require_equal(found: Tensor, expected: Tensor, what: str) -> None:
    """Raises CannotExport when the copy answers otherwise than the model."""
    largest = float((found - expected).abs().max())
    if not largest <= LARGEST_DIFFERENCE:  # nor NaN
        raise CannotExport(
            f"its {what} differ by {largest:.2g} from the model's own, which is more than rounding"
        )


def copy_head(source: Path, target: Path) -> None:
    """The files that no other library has a place for: head, classes, statistics, temperatures."""
    for name in _ALONG:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
