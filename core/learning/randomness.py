"""Every random draw as a pure function of (seed, purpose, position).

There is no generator state to save or to leak: the order of an epoch, the crop of a sample and
the random texts of a step are what they are whatever ran before, in whichever process, with
however many micro-batches. Resuming a run needs the step number and nothing else.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # methods' files name these functions, and the API reads them without numpy


def generator(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """The generator of one purpose at one position.

    `purpose` is a word such as "order", "augmentation" or "random_texts"; `position` is whatever
    numbers say where in the run this is (an epoch, a step). Equal arguments give equal draws on
    every machine: SeedSequence and Philox are specified bit for bit.
    """
    import numpy as np

    word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, word, *position])))


def sample_order(seed: int, epoch: int, n_samples: int) -> np.ndarray:
    """The permutation of `n_samples` training samples in one epoch, int64 (n_samples,)."""
    return generator(seed, "order", epoch).permutation(n_samples)


def batch_samples(seed: int, step: int, batch_size: int, n_samples: int) -> np.ndarray:
    """Indices of the samples of one step, int64 (batch_size,).

    The epochs' permutations are laid end to end and cut into batches, so no sample is dropped
    at an epoch's end and a batch may straddle two epochs.
    """
    import numpy as np

    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // n_samples
    picked = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        picked[here] = sample_order(seed, int(epoch), n_samples)[positions[here] % n_samples]
    return picked
