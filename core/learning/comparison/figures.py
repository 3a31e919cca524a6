"""Everything measured of one model over its seeds: means, spreads, intervals, calibration bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

import numpy as np

from core.learning.comparison.claims import accuracy_interval
from core.learning.comparison.contender import Entrant
from core.learning.comparison.document import (
    AlphaPoint,
    Average,
    Bin,
    Figures,
    Scope,
    SplitFacts,
    SplitKind,
    Value,
)
from core.learning.metrics import CALIBRATION_BINS
from core.learning.report import ResultRow
from core.learning.robustness import NamedAverage

KINDS: dict[Scope, SplitKind] = {"id": "id", "shifted": "shifted", "corruptions": "corruption"}
# A mean of p values means nothing, and a comparison tests again from the images.
UNAVERAGED = ("mcnemar_p", "mcnemar_p_holm")


def figures_of(
    entrant: Entrant, splits: Sequence[SplitFacts], averages: Sequence[Average]
) -> Figures:
    """Every metric by split and average, and the calibration curves."""
    by_metric = _by_metric({seed: run.rows for seed, run in entrant.runs.items()})
    names = {split.name: split for split in splits}
    of_splits: dict[str, dict[str, Value]] = {name: {} for name in names}
    of_averages: dict[Scope, dict[str, Value]] = {average.scope: {} for average in averages}
    for metric, by_split in by_metric.items():
        for name, rows in by_split.items():
            if name in names:
                of_splits[name][metric] = _split_value(entrant, names[name], metric, rows)
        for average in averages:
            value = _average_value(average, by_split)
            if value is not None:
                of_averages[average.scope][metric] = value
    for average in averages:
        low, high = accuracy_interval(entrant, average.members)
        accuracy = of_averages[average.scope]["accuracy"]
        update = {"low": low, "high": high}
        of_averages[average.scope]["accuracy"] = accuracy.model_copy(update=update)
    return Figures(
        seeds=tuple(entrant.runs),
        chosen_on=entrant.chosen_on,
        splits=of_splits,
        averages=of_averages,
        calibration=_calibration(entrant, splits),
    )


def curve_of(
    entrant: Entrant,
    zero_shot: Entrant | None,
    splits: Sequence[SplitFacts],
    averages: Sequence[Average],
    measure: Scope,
) -> tuple[AlphaPoint, ...]:
    """The line from zero-shot to fine-tuned, accuracy only; empty without interpolations."""
    if not entrant.curve:
        return ()
    points = dict(entrant.curve)
    if zero_shot is not None:
        points = {0.0: {seed: run.rows for seed, run in zero_shot.runs.items()}, **points}
    id_split = next(split.name for split in splits if split.kind == "id")
    found = []
    for alpha, rows_by_seed in points.items():
        by_split = _by_metric(rows_by_seed).get("accuracy", {})
        own = Average(scope="id", name=id_split, members=(id_split,), selection=False)
        shift = next((average for average in averages if average.scope == measure), own)
        values = _average_value(own, by_split), _average_value(shift, by_split)
        if values[0] is not None and values[1] is not None:
            found.append(AlphaPoint(alpha=alpha, id=values[0], shift=values[1]))
    return tuple(found)


def _by_metric(
    rows_by_seed: Mapping[int, Sequence[ResultRow]],
) -> dict[str, dict[str, dict[int, ResultRow]]]:
    """metric -> split -> seed -> row."""
    found: dict[str, dict[str, dict[int, ResultRow]]] = {}
    for seed, rows in rows_by_seed.items():
        for row in rows:
            if row.metric not in UNAVERAGED:
                found.setdefault(row.metric, {}).setdefault(row.split, {})[seed] = row
    return found


def _split_value(
    entrant: Entrant, split: SplitFacts, metric: str, rows: Mapping[int, ResultRow]
) -> Value:
    first = next(iter(rows.values()))
    low, high = (first.low, first.high) if len(rows) == 1 else (None, None)
    # Corruptions are reported by their mean alone; dozens of intervals would only cost time.
    if metric == "accuracy" and len(rows) > 1 and split.kind != "corruption":
        low, high = accuracy_interval(entrant, (split.name,))
    by_seed = {seed: row.value for seed, row in rows.items()}
    return _value(by_seed, first.n, low, high)


def _average_value(
    average: Average, by_split: Mapping[str, Mapping[int, ResultRow]]
) -> Value | None:
    """None where a member lacks the metric; seeds that lack a member are left out."""
    members = [by_split.get(split, {}) for split in average.members]
    seeds = [seed for seed in members[0] if all(seed in rows for rows in members)]
    if not seeds:
        return None
    named = NamedAverage(average.name, average.members)
    by_seed = {
        seed: named.of({split: by_split[split][seed].value for split in average.members})
        for seed in seeds
    }
    n = sum(rows[seeds[0]].n for rows in members)
    return _value(by_seed, n, None, None)


def _value(by_seed: dict[int, float], n: int, low: float | None, high: float | None) -> Value:
    values = list(by_seed.values())
    return Value(
        mean=mean(values),
        sd=stdev(values) if len(values) > 1 else None,
        by_seed=by_seed,
        low=low,
        high=high,
        n=n,
    )


def _calibration(entrant: Entrant, splits: Sequence[SplitFacts]) -> dict[Scope, tuple[Bin, ...]]:
    curves: dict[Scope, tuple[Bin, ...]] = {}
    for scope, kind in KINDS.items():
        pooled = [split.name for split in splits if split.kind == kind]
        if pooled:
            sums = sum(
                (run.bins[name] for run in entrant.runs.values() for name in pooled),
                start=np.zeros((3, CALIBRATION_BINS)),
            )
            curves[scope] = tuple(_bin(*column) for column in sums.T.tolist())
    return curves


def _bin(n: float, confidence: float, right: float) -> Bin:
    if n == 0:
        return Bin(n=0, confidence=None, accuracy=None)
    return Bin(n=int(n), confidence=confidence / n, accuracy=right / n)
