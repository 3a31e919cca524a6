"""The numbers of a comparison: per split and seed, named averages, the ranking.

The measure is mean accuracy over the shifted splits, with equal weight, among contenders whose ID
accuracy is no more than ID_TOLERANCE below the best contender's. Without shifted splits it is the
mean over built-in corruptions, without those ID accuracy itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import mean, stdev

import numpy as np

from core.learning.comparison.claims import (
    BOOTSTRAP_SEED,
    accuracy_interval,
    changes_from_zero_shot,
    claims_about,
)
from core.learning.comparison.contender import Entrant, Field, Source, read_field
from core.learning.comparison.document import (
    ID_TOLERANCE,
    SCHEMA_VERSION,
    SIGNIFICANCE,
    AlphaPoint,
    Average,
    Bin,
    Comparison,
    Constants,
    Contender,
    Figures,
    Findings,
    Provenance,
    Ranking,
    Scope,
    SplitFacts,
    SplitKind,
    Value,
)
from core.learning.comparison.verdict import judge
from core.learning.metrics import CALIBRATION_BINS, CONFIDENCE
from core.learning.report import ResultRow
from core.learning.robustness import NamedAverage
from core.learning.significance import DRAWS

CORRUPTION = "corruption."  # how the names of built-in shifts begin
AVERAGES: dict[Scope, str] = {
    "shifted": "mean over shifted splits",
    "corruptions": "mean over corruptions",
}
KINDS: dict[Scope, SplitKind] = {"id": "id", "shifted": "shifted", "corruptions": "corruption"}
# A mean of p values means nothing, and a comparison tests again from the images.
UNAVERAGED = ("mcnemar_p", "mcnemar_p_holm")


def compare(
    sources: Sequence[Source], provenance: Provenance, *, selection_splits: Collection[str] = ()
) -> Comparison:
    """Read the contenders' files, compute every number and reach the verdict.

    `selection_splits` are the reported splits whose labels chose something. Raises what
    `contender.read_field` raises, and NotComparable when two contenders share no seed.
    """
    field = read_field(sources)
    splits = tuple(_facts(name, n, selection_splits) for name, n in field.splits.items())
    averages = _averages(splits)
    measure: Scope = averages[0].scope if averages else "id"
    zero_shot = None if field.zero_shot is None else _figures(field.zero_shot, splits, averages)
    contenders = tuple(_contender(source, field, splits, averages, measure) for source in sources)
    id_split = next(split.name for split in splits if split.kind == "id")
    ranking = _ranking(contenders, id_split, measure)
    members = {average.scope: average.members for average in averages}
    scopes: dict[Scope, tuple[str, ...]] = {"id": (id_split,)}
    if averages:
        scopes[measure] = members[measure]
    findings = Findings(
        splits=splits,
        averages=averages,
        zero_shot=zero_shot,
        contenders=contenders,
        ranking=ranking,
        claims=claims_about(field, ranking.within[0], scopes),
    )
    return Comparison(
        schema_version=SCHEMA_VERSION,
        provenance=provenance,
        constants=Constants(
            id_tolerance=ID_TOLERANCE,
            significance=SIGNIFICANCE,
            confidence=CONFIDENCE,
            bootstrap_draws=DRAWS,
            bootstrap_seed=BOOTSTRAP_SEED,
            calibration_bins=CALIBRATION_BINS,
        ),
        findings=findings,
        verdict=judge(findings),
    )


def _facts(name: str, n: int, selection_splits: Collection[str]) -> SplitFacts:
    if name.startswith(CORRUPTION):
        return SplitFacts(name=name, kind="corruption", n=n, selection=name in selection_splits)
    if name in ("test", "val"):  # val is here only where there is no test, and it chose
        selection = name == "val" or name in selection_splits
        return SplitFacts(name=name, kind="id", n=n, selection=selection)
    return SplitFacts(name=name, kind="shifted", n=n, selection=name in selection_splits)


def _averages(splits: Sequence[SplitFacts]) -> tuple[Average, ...]:
    found = []
    for scope, name in AVERAGES.items():
        members = [split for split in splits if split.kind == KINDS[scope]]
        if members:
            found.append(
                Average(
                    scope=scope,
                    name=name,
                    members=tuple(split.name for split in members),
                    selection=any(split.selection for split in members),
                )
            )
    return tuple(found)


def _contender(
    source: Source,
    field: Field,
    splits: Sequence[SplitFacts],
    averages: Sequence[Average],
    measure: Scope,
) -> Contender:
    entrant = field.entrants[source.name]
    return Contender(
        name=source.name,
        label=source.label,
        method_title=source.method_title,
        citation=source.citation,
        figures=_figures(entrant, splits, averages),
        curve=_curve(entrant, field.zero_shot, splits, averages, measure),
        changes=changes_from_zero_shot(entrant, field.zero_shot, splits),
        costs=source.costs,
    )


def _figures(
    entrant: Entrant, splits: Sequence[SplitFacts], averages: Sequence[Average]
) -> Figures:
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
        splits=of_splits,
        averages=of_averages,
        calibration=_calibration(entrant, splits),
    )


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


def _curve(
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


def _ranking(contenders: Sequence[Contender], id_split: str, measure: Scope) -> Ranking:
    """By the measure; ties go to the better ID accuracy, then to the cheaper, then as given."""

    def accuracy(contender: Contender, scope: Scope) -> float:
        figures = contender.figures
        if scope == "id":
            return figures.splits[id_split]["accuracy"].mean
        return figures.averages[scope]["accuracy"].mean

    def place(contender: Contender) -> tuple[float, float, float]:
        cost = contender.seconds_per_seed
        return (
            -accuracy(contender, measure),
            -accuracy(contender, "id"),
            math.inf if cost is None else cost,
        )

    best = max(contenders, key=lambda contender: accuracy(contender, "id"))
    # Half a point written in binary is not half a point: 0.80 - 0.005 must hold 0.795.
    floor = round(accuracy(best, "id") - ID_TOLERANCE, 9)
    ordered = sorted(contenders, key=place)
    within = [c.name for c in ordered if round(accuracy(c, "id"), 9) >= floor]
    return Ranking(
        measure=measure,
        best_id=best.name,
        within=tuple(within),
        outside=tuple(c.name for c in ordered if c.name not in within),
    )
