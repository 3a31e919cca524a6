"""Result rows and what is asked of them most: means over splits, spread over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from core.learning.shifts import is_shift_name

ID_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ResultRow:
    """One number: a metric of a model on a split, measured with one seed."""

    seed: int
    model: str  # zero_shot, fine_tuned, wise_ft@0.5, or a model id
    split: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Cell:
    """A value and its spread over seeds (None for one seed)."""

    value: float
    spread: float | None


def mean_over_seeds(
    rows: Iterable[ResultRow], model: str, splits: Sequence[str], metric: str
) -> Cell | None:
    """The mean over `splits` of each seed, then mean and standard deviation over seeds.

    None when no seed has every split.
    """
    by_seed: dict[int, dict[str, float]] = {}
    for row in rows:
        if row.model == model and row.metric == metric and row.split in splits:
            by_seed.setdefault(row.seed, {})[row.split] = row.value
    values = [mean(found.values()) for found in by_seed.values() if len(found) == len(splits)]
    if not values:
        return None
    return Cell(mean(values), stdev(values) if len(values) > 1 else None)


def shifted_splits(rows: Iterable[ResultRow]) -> list[str]:
    """Names of the user's shifted splits, neither ID nor built in, in the order they appear."""
    found = dict.fromkeys(row.split for row in rows)
    return [split for split in found if split not in ID_SPLITS and not is_shift_name(split)]


def corruption_splits(rows: Iterable[ResultRow]) -> list[str]:
    """Names of the built-in shifts, in the order they appear."""
    return [split for split in dict.fromkeys(row.split for row in rows) if is_shift_name(split)]
