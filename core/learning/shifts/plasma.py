"""Plasma: the cloudy fractal that fog is made of (Fournier, Fussell and Carpenter, 1982)."""

from __future__ import annotations

import numpy as np

from core.learning.shifts.pixels import Pixels

_SIDE = 256  # a power of two, and the least that covers 224 px


def plasma(shape: tuple[int, int], decay: float, rng: np.random.Generator) -> Pixels:
    """A cloud in [0, 1] of the given (R, Q): rougher, the smaller `decay` is.

    Diamond-square on a torus, so that it may be repeated without a seam: every halving of the
    grid's step sets the new points to the mean of their four neighbours and a uniform draw whose
    amplitude, as published, falls by the square of `decay`.
    """
    cloud = np.zeros((1, 1))
    amplitude = 1.0
    while len(cloud) < _SIDE:
        cloud = _halved(cloud, amplitude, rng)
        amplitude /= decay**2
    cloud -= cloud.min()
    cloud /= cloud.max()
    rows, columns = (np.arange(side) % _SIDE for side in shape)
    return cloud[np.ix_(rows, columns)].astype(np.float32)


def _halved(
    coarse_SS: np.ndarray, amplitude: float, rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The same cloud on a grid of half the step, (2 S, 2 S)."""
    side = len(coarse_SS)
    fine = np.empty((2 * side, 2 * side))
    fine[::2, ::2] = coarse_SS
    right_SS = np.roll(coarse_SS, -1, axis=1)
    square = coarse_SS + right_SS + np.roll(coarse_SS, -1, axis=0) + np.roll(right_SS, -1, axis=0)
    centre_SS = square / 4 + rng.uniform(-amplitude, amplitude, (side, side))
    fine[1::2, 1::2] = centre_SS
    across = coarse_SS + right_SS + centre_SS + np.roll(centre_SS, 1, axis=0)
    fine[::2, 1::2] = across / 4 + rng.uniform(-amplitude, amplitude, (side, side))
    down = coarse_SS + np.roll(coarse_SS, -1, axis=0) + centre_SS + np.roll(centre_SS, 1, axis=1)
    fine[1::2, ::2] = down / 4 + rng.uniform(-amplitude, amplitude, (side, side))
    return fine
