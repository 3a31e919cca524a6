"""Zero-shot and a fine-tuned model together, weighed by distance: the mixtures `auto` chooses from.

`core.learning.methods.auto` has the formula and the rule.

Shapes: N images, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from core.learning.combine.vrf import fit_vrf, zero_shot_failures
from core.learning.mixtures import VrfMixture, nearest_counted, squared_distance_to_kth

CEILINGS = tuple(step / 10 for step in range(11))  # h
MIDDLE = 1.5  # of d: where omega is a half
WIDTH = 0.5  # of d: how slowly omega falls
_LEAST_WIDTH = 1e-6  # where every validation image lies in the bank


@dataclass(frozen=True)
class Point:
    """A mixture that could be kept, and what the ID validation images say of it."""

    end: str
    ceiling: float  # h
    accuracy: float  # 0 to 1
    moved: float  # total variation between its answers and zero-shot's, mean over images, 0 to 1


@dataclass(frozen=True, eq=False)
class Seen:
    """What an end and zero-shot say of a split. Minus infinity in columns it does not hold."""

    features_ND: Tensor  # the end's, L2-normalised
    logits_NK: Tensor
    zero_shot_logits_NK: Tensor
    labels_N: Tensor


def gated(training: Seen, validation: Seen) -> VrfMixture:
    """The end and zero-shot together, h 1: bank of training images, constants of validation ones.

    Where the end corrects no training image the bank is empty and omega 1: only h says then how
    much the end counts. Raises ValueError for no validation images.
    """
    bank_VD = zero_shot_failures(
        training.features_ND,
        training.logits_NK.argmax(dim=-1),
        training.zero_shot_logits_NK.argmax(dim=-1),
        training.labels_N,
    )
    d = 1.0  # of no effect where the bank is empty
    if len(bank_VD):
        k = nearest_counted(len(bank_VD))
        d = float(squared_distance_to_kth(validation.features_ND, bank_VD, k).double().mean())
    return fit_vrf(
        bank_VD,
        validation.features_ND,
        validation.logits_NK,
        validation.zero_shot_logits_NK,
        validation.labels_N,
        a=MIDDLE * d,
        b=max(WIDTH * d, _LEAST_WIDTH),
    )


def points_of(end: str, mixture: VrfMixture, selecting: Sequence[Seen]) -> list[Point]:
    """A point for every ceiling. Accuracy is the mean over the splits that choose, the ID
    validation split first among them; of that one is how far answers moved."""
    whole, alone = replace(mixture, ceiling=1.0), replace(mixture, ceiling=0.0)
    ends = [
        [
            each.probabilities(seen.features_ND, seen.logits_NK, seen.zero_shot_logits_NK)[0]
            for each in (alone, whole)
        ]
        for seen in selecting
    ]
    moved = float((ends[0][1] - ends[0][0]).abs().sum(dim=-1).mean()) / 2
    found = []
    for ceiling in CEILINGS:
        shares = [
            float((zero_shot.lerp(mixed, ceiling).argmax(dim=-1) == seen.labels_N).double().mean())
            for seen, (zero_shot, mixed) in zip(selecting, ends, strict=True)
        ]
        found.append(Point(end, ceiling, sum(shares) / len(shares), ceiling * moved))
    return found
