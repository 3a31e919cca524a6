"""Times of requests that are made in turns, and what is said of many times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, `rounds` times, one after the other: what the machine does meanwhile
    falls on all of them alike. A tenth as many rounds come first and do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-math.ceil(rounds / 10), rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent of all are not above."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """What is recorded of many times."""
    return {name: round(percentile(seconds, share), 5) for name, share in _SHARES.items()}


_SHARES = {"p50": 50, "p99": 99}
