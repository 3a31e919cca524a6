"""FTP, fast trainable projection: every tensor within a radius that training itself learns.

    theta~    what the optimiser made of theta_{t-1}
    n_r       = sum_c |theta~ - theta0|_{rc} + 1e-8                the MARS norm of each row r
    gamma_1   = max_r n_r of theta_0, which is 1e-8 where training begins at theta0
    d_t       = sum_r g_r . (theta~ - theta0)_r / n_r              of g_t, and step t - 1's theta~
    gamma_t   = clip( gamma_{t-1} - mu Adam(d_t, scaled by k if positive), 1e-8, max_r n_r )
    theta_t,r = theta0_r + min(1, gamma_t / n_r) (theta~ - theta0)_r

A row is an index of a tensor's first dimension; vectors and scalars are one row. One gamma serves
all rows of a tensor. d_t is the loss's derivative by gamma, had the last step's radius been the
one to bind; k < 1 makes radii slower to shrink, with k = 0 no gradient shrinks them. Adam has mu
0.01, betas 0.9 and 0.999, epsilon 1e-8, and corrects its bias by t, the tensor's count of
updates: its first gradient comes at t = 2. Steps that leave a tensor without gradient leave it
alone.

Recipe: k 1, AdamW 1e-4 without weight decay. Holds theta0 and one deviation of every tensor: the
memory of two more models.
Source: Tian et al., "Fast trainable projection for robust fine-tuning", NeurIPS 2023, arXiv
2310.19182, algorithm 1; constants, vectors and the head's exception as the released code has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from core.learning.live_tensors import copy_into
from core.learning.projections.anchors import anchors
from core.learning.projections.base import Projection

if TYPE_CHECKING:
    from torch import Tensor

    from core.learning.student import Student

RATE = 1e-2
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
SMALLEST = 1e-8


@dataclass
class Constraint:
    """One tensor's radius and what its next change follows from."""

    first_step: int
    radius: Tensor  # gamma, scalar
    direction: Tensor  # the last deviation, each row divided by its norm
    first_moment: Tensor
    second_moment: Tensor


class FastTrainableProjection(Projection):
    """FTP around the weights that `student` has now; `k` in [0, 1]."""

    def __init__(self, student: Student, k: float) -> None:
        self._k = k
        self._theta0 = anchors(student)
        self.constraints: dict[str, Constraint] = {}
        self._first_radii: dict[str, Tensor] = {}  # of tensors whose first update this step is

    def before_update(self, student: Student) -> None:
        import torch

        live = student.trained()
        with torch.no_grad():
            self._first_radii = {
                name: mars_norms(live[name] - theta0).max()
                for name, theta0 in self._theta0.items()
                if name not in self.constraints and live[name].grad is not None
            }

    def after_update(self, student: Student, step: int) -> None:
        import torch

        live = student.trained()
        with torch.no_grad():
            for name, theta0 in self._theta0.items():
                if live[name].grad is not None:
                    self._project(name, live[name], theta0, step)

    def state(self) -> dict[str, Tensor]:
        import torch

        return {
            f"{name}.{field.name}": torch.as_tensor(getattr(constraint, field.name))
            for name, constraint in self.constraints.items()
            for field in fields(constraint)
        }

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """A tensor that has had no gradient yet has no constraint, here as there."""
        import torch

        self.constraints = {}
        names = {name.rpartition(".")[0] for name in stored}
        for name in [name for name in self._theta0 if name in names]:
            theta0 = self._theta0[name]
            zero = theta0.new_zeros(())
            constraint = Constraint(
                int(stored[f"{name}.first_step"]),
                zero,
                torch.empty_like(theta0),
                zero.clone(),
                zero.clone(),
            )
            self.constraints[name] = constraint
        copy_into(self.state(), stored)

    def _project(self, name: str, parameter: Tensor, theta0: Tensor, step: int) -> None:
        deviation = parameter - theta0
        norms = mars_norms(deviation)
        direction = deviation / norms
        constraint = self.constraints.get(name)
        if constraint is None:
            zero = norms.new_zeros(())
            constraint = Constraint(step, self._first_radii[name], direction, zero, zero)
            self.constraints[name] = constraint
        else:
            assert parameter.grad is not None
            self._learn(constraint, (parameter.grad * constraint.direction).sum(), step)
            constraint.radius = constraint.radius.clamp(min=SMALLEST).minimum(norms.max())
            constraint.direction = direction
        parameter.copy_(within(theta0, parameter, constraint.radius, norms))

    def _learn(self, constraint: Constraint, gradient: Tensor, step: int) -> None:
        gradient = gradient.clamp(max=0) + self._k * gradient.clamp(min=0)
        first = BETA1 * constraint.first_moment + (1 - BETA1) * gradient
        second = BETA2 * constraint.second_moment + (1 - BETA2) * gradient.square()
        t = step - constraint.first_step + 1
        change = first / (1 - BETA1**t) / ((second / (1 - BETA2**t)).sqrt() + EPSILON)
        constraint.first_moment, constraint.second_moment = first, second
        constraint.radius = constraint.radius - RATE * change


def mars_norms(deviation: Tensor) -> Tensor:
    """Sum of magnitudes of each row, shaped to be divided by; of all of a vector or scalar."""
    magnitudes = deviation.abs()
    if magnitudes.ndim < 2:
        return magnitudes.sum() + SMALLEST
    return magnitudes.sum(dim=tuple(range(1, magnitudes.ndim)), keepdim=True) + SMALLEST


def within(theta0: Tensor, theta: Tensor, radius: Tensor, norms: Tensor) -> Tensor:
    """`theta` brought back to the radius around `theta0`, row by row. Rows within it are
    `theta`'s own, bit for bit; a radius of 0 gives `theta0`."""
    return theta0.lerp(theta, (radius / norms).clamp(max=1.0))
