"""The numbers of a comparison: per split and seed, named averages, the ranking.

The measure is mean accuracy over the shifted splits, with equal weight, among contenders whose ID
accuracy is no more than ID_TOLERANCE below the best contender's. Without shifted splits it is the
mean over built-in corruptions, without those ID accuracy itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.learning.comparison.claims import (
    BOOTSTRAP_SEED,
    changes_from_zero_shot,
    claims_about,
)
from core.learning.comparison.contender import Field, Source, read_field
from core.learning.comparison.document import (
    ID_TOLERANCE,
    SCHEMA_VERSION,
    SIGNIFICANCE,
    Average,
    Comparison,
    Constants,
    Contender,
    Findings,
    Provenance,
    Ranking,
    Scope,
    SplitFacts,
    SplitKind,
)
from core.learning.comparison.figures import KINDS, curve_of, figures_of
from core.learning.comparison.verdict import judge
from core.learning.metrics import CALIBRATION_BINS, CONFIDENCE
from core.learning.shifts import is_shift_name
from core.learning.significance import DRAWS

AVERAGES: dict[Scope, str] = {
    "shifted": "mean over shifted splits",
    "corruptions": "mean over corruptions",
}


def compare(sources: Sequence[Source], provenance: Provenance) -> Comparison:
    """Read the contenders' files, compute every number and reach the verdict.

    Raises what `contender.read_field` raises, and NotComparable when two contenders share no seed.
    """
    field = read_field(sources)
    splits = _splits(field)
    averages = _averages(splits)
    measure: Scope = averages[0].scope if averages else "id"
    zero_shot = None if field.zero_shot is None else figures_of(field.zero_shot, splits, averages)
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


def _splits(field: Field) -> tuple[SplitFacts, ...]:
    # val is reported only where there is no test, and it chose the checkpoints.
    id_split = "test" if "test" in field.splits else "val"
    id_selected = id_split == "val" or id_split in field.selection_splits
    found = []
    for name, n in field.splits.items():
        kind: SplitKind = "corruption" if is_shift_name(name) else "shifted"
        selection = name in field.selection_splits
        if name == id_split:
            kind = "id"
        if kind != "shifted":  # corruptions are made of the ID split's images
            selection = id_selected
        found.append(SplitFacts(name=name, kind=kind, n=n, selection=selection))
    return tuple(found)


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
        figures=figures_of(entrant, splits, averages),
        curve=curve_of(entrant, field.zero_shot, splits, averages, measure),
        changes=changes_from_zero_shot(entrant, field.zero_shot, splits),
        costs=source.costs,
    )


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
    # In binary 0.7875 - 0.005 is a hair above 0.7825, which is inside.
    floor = round(accuracy(best, "id") - ID_TOLERANCE, 9)
    ordered = sorted(contenders, key=place)
    within = [c.name for c in ordered if round(accuracy(c, "id"), 9) >= floor]
    return Ranking(
        measure=measure,
        best_id=best.name,
        within=tuple(within),
        outside=tuple(c.name for c in ordered if c.name not in within),
    )
