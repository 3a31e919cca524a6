"""The schedule: which faults, at what, in which order. A function of the seed alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos.faults import KINDS

AIMS = tuple(dict.fromkeys(aim for kind in KINDS.values() for aim in kind.aims))


@dataclass(frozen=True)
class Planned:
    """A fault that is to be. It strikes `delay` seconds into what it aims at."""

    number: int
    kind: str
    aim: str
    delay: float
    seconds: float  # how long it lasts, from 0 to 1 of what the kind allows


def schedule(seed: int, count: int, without: Collection[str] = ()) -> list[Planned]:
    """Kinds by their weight, each aimed where fewest were so far: every aim gets its share.
    `without` are kinds that cannot be done here."""
    draws = random.Random(seed)
    aimed: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    planned = []
    kinds: list[str] = []
    for number in range(count):
        if not kinds:
            kinds = [name for name, kind in KINDS.items() for _ in range(kind.weight)]
            kinds = [name for name in kinds if name not in without]
            draws.shuffle(kinds)
        kind = kinds.pop()
        aims = list(KINDS[kind].aims)
        draws.shuffle(aims)
        aim = min(aims, key=lambda aim: (aimed[aim], pairs[kind, aim]))
        aimed[aim] += 1
        pairs[kind, aim] += 1
        longest = {"training": 1.5, "starting": 3.0, "combining": 0.3}.get(aim, 0.05)
        planned.append(Planned(number, kind, aim, draws.random() * longest, draws.random()))
    return planned
