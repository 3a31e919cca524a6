"""Running averages of a model's weights over training, which teachers are.

Both kinds move the average by a share of its distance to the weights of the moment,

    average <- average + share (theta - average)

An exponential average of momentum m has share 1 - m. The Beta average weighs the trajectory
theta_0 .. theta_T, theta_0 included, by omega_t = BetaPDF((t + 1/2) / (T + 1); 1/2, 1/2): much
for where training starts and where it is, little for what lies between, and has share
omega_t / (omega_0 + .. + omega_t). Shares depend on the step alone, so a run resumes from the
average's tensors and the step's number.

Source of the Beta average: Shu et al., "CLIPood", ICML 2023, arXiv 2302.00864, equation 6.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.learning.models import Clip
from core.learning.student import Student


def move_towards(average: Clip, student: Student, share: float) -> None:
    """Move what trains by `share` of its distance to the student's weights, in place.

    `average` is a `Student.frozen_copy`. A share of 0 leaves it as it is, 1 copies the student.
    """
    theirs, mine = moving_tensors(average, student), student.trained()
    with torch.no_grad():
        torch._foreach_lerp_(list(theirs.values()), [mine[name] for name in theirs], share)


def moving_tensors(average: Clip, student: Student) -> dict[str, Tensor]:
    """The average's own tensors, live, by name: those of what trains in both."""
    theirs = dict(average.model.named_parameters())
    return {name: theirs[name].detach() for name in student.trained() if name in theirs}


def beta_shares(total_steps: int) -> np.ndarray:
    """The Beta average's share of theta_t for t = 0 .. total_steps, float64 (total_steps + 1,).

    The first is 1: theta_0 alone. The density's constant, 1 / pi, cancels.
    """
    x = (np.arange(total_steps + 1) + 0.5) / (total_steps + 1)
    weights = 1.0 / np.sqrt(x * (1.0 - x))
    shares: np.ndarray = weights / np.cumsum(weights)
    return shares
