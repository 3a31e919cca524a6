"""The tables of a comparison as plain text cells, for the page and for Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.learning.comparison.document import (
    SIGNIFICANCE,
    ZERO_SHOT,
    ZERO_SHOT_LABEL,
    Change,
    Comparison,
    Contender,
    Figures,
    Findings,
    Scope,
    SplitFacts,
    Value,
)
from core.learning.comparison.wording import (
    duration,
    interval,
    marked,
    p_value,
    percent,
    points,
    spread_percent,
)

SHORT = {"shifted": "mean shift", "corruptions": "mean corruption"}
# Metrics beside accuracy, in the order shown; others follow under their own names.
SHARES = {
    "top5": "top-5 %",
    "mean_per_class_recall": "class recall %",
    "macro_f1": "macro-F1 %",
    "worst_class": "worst class %",
    "worst_group": "worst group %",
    "effective_robustness": "effective robustness, points",
}
CALIBRATION = {
    "ece": "ECE",
    "ece_calibrated": "ECE, calibrated",
    "nll": "NLL",
    "nll_calibrated": "NLL, calibrated",
    "brier": "Brier",
}
DRIFT = {"energy_gap": "energy gap", "feature_distortion": "feature distortion"}
# Shown by tables of their own, from the same images.
ELSEWHERE = ("accuracy", "accuracy_change", *CALIBRATION)


@dataclass(frozen=True)
class Table:
    """A header and rows; the first column names the row. `taken` is the recommended row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    taken: int | None = None


@dataclass(frozen=True)
class _Column:
    """A scope or a single split, as a heading."""

    heading: str
    scope: Scope | None = None
    split: str = ""

    def value(self, findings: Findings, figures: Figures, metric: str) -> Value | None:
        if self.scope is not None:
            return findings.value(figures, self.scope, metric)
        return figures.splits[self.split].get(metric)


def main_table(comparison: Comparison) -> Table:
    """Top-1 accuracy in per cent on ID, averaged and on every shifted split, best first."""
    findings = comparison.findings
    columns = _accuracy_columns(findings)
    rows = []
    for place, label, figures in _lines(findings):
        cells = [spread_percent(c.value(findings, figures, "accuracy")) for c in columns]
        rows.append((label, place, *cells, str(len(figures.seeds))))
    header = ("", "rank", *(column.heading for column in columns), "seeds")
    names = [ZERO_SHOT] if findings.zero_shot is not None else []
    names += [contender.name for contender in findings.ranked]
    return Table(header, tuple(rows), names.index(comparison.verdict.take))


def change_table(findings: Findings) -> Table:
    """Points of accuracy against zero-shot, and in how many seeds McNemar's test says so."""
    splits = [split for split in findings.splits if split.kind != "corruption"]
    rows = [
        (_label(c), *(_change(change) for split in splits for change in _of_split(c, split)))
        for c in findings.ranked
    ]
    return Table(("", *(marked(split.name, split.selection) for split in splits)), tuple(rows))


def loss_table(findings: Findings) -> Table:
    """Where a contender is worse than zero-shot on ID or a shifted split, worst first."""
    splits = {split.name: split for split in findings.splits if split.kind != "corruption"}
    lost = [
        (_label(contender), change)
        for contender in findings.ranked
        for change in contender.changes
        if change.split in splits and change.difference < 0
    ]
    rows = tuple(
        (
            label,
            marked(change.split, splits[change.split].selection),
            points(change.difference),
            f"{change.worse_in} of {len(change.by_seed)}",
            p_value(min(test.p_holm for test in change.by_seed.values())),
        )
        for label, change in sorted(lost, key=lambda item: item[1].difference)
    )
    header = ("", "split", "points", "seeds significantly worse", "smallest p (Holm)")
    return Table(header, rows)


def references(findings: Findings) -> list[tuple[str, str]]:
    """(name, label) of what contenders are set against, where any is."""
    names = dict.fromkeys(claim.against for claim in findings.claims)
    return [
        (name, ZERO_SHOT_LABEL if name == ZERO_SHOT else findings.contender(name).label)
        for name in names
    ]


def claim_table(findings: Findings, against: str) -> Table:
    """Paired bootstraps against one reference: the measure, then ID."""
    scopes: list[Scope] = ["id"]
    if findings.ranking.measure != "id":
        scopes.insert(0, findings.ranking.measure)
    rows = []
    for contender in findings.ranked:
        claims = [findings.claim(contender.name, against, scope) for scope in scopes]
        cells = [
            cell
            for claim in claims
            if claim is not None
            for cell in (
                points(claim.difference),
                interval(claim.low, claim.high),
                p_value(claim.p_holm) + (" *" if claim.p_holm < SIGNIFICANCE else ""),
            )
        ]
        if claims[0] is not None:
            rows.append((_label(contender), *cells, str(claims[0].n_seeds)))
    heads = [
        head
        for scope in scopes
        for head in (_scope_heading(findings, scope), "95 % interval", "p (Holm)")
    ]
    return Table(("", *heads, "seeds"), tuple(rows))


def calibration_table(findings: Findings) -> Table:
    """Calibration and likelihood on ID and in the mean over shifts."""
    return _metric_table(findings, CALIBRATION)


def metric_table(findings: Findings) -> Table:
    """Every other metric that was measured."""
    found = {
        metric: metric
        for figures in (contender.figures for contender in findings.contenders)
        for metrics in figures.splits.values()
        for metric in metrics
        if metric not in ELSEWHERE
    }
    known = {name: title for name, title in {**SHARES, **DRIFT}.items() if name in found}
    return _metric_table(findings, {**known, **{m: m for m in found if m not in known}})


def cost_table(findings: Findings) -> Table:
    """Seconds of each contender with what it was made from; plain fine-tuning is 1."""
    rows = []
    for contender in findings.ranked:
        relative = findings.relative_cost(contender)
        seconds, a_seed = contender.seconds, contender.seconds_per_seed
        rows.append(
            (
                contender.label,
                " + ".join(f"{cost.what} {duration(cost.seconds)}" for cost in contender.costs),
                "unknown" if seconds is None else duration(seconds),
                "" if a_seed is None else duration(a_seed),
                "" if relative is None else f"{relative:.2f}",
            )
        )
    header = ("", "made of", "all seeds", "a seed", "times plain fine-tuning")
    return Table(header, tuple(rows))


def seed_table(findings: Findings) -> Table:
    """Every seed by itself."""
    columns = _accuracy_columns(findings)
    rows = []
    for _, label, figures in _lines(findings):
        for seed in figures.seeds:
            values = [column.value(findings, figures, "accuracy") for column in columns]
            cells = [percent(value.by_seed[seed]) if value else "" for value in values]
            rows.append((label, str(seed), *cells))
    return Table(("", "seed", *(column.heading for column in columns)), tuple(rows))


def _lines(findings: Findings) -> list[tuple[str, str, Figures]]:
    """(rank, label, figures) of zero-shot and of every contender, best first."""
    lines: list[tuple[str, str, Figures]] = []
    if findings.zero_shot is not None:
        label = marked(ZERO_SHOT_LABEL, bool(findings.zero_shot.chosen_on))
        lines.append(("", label, findings.zero_shot))
    for number, contender in enumerate(findings.ranked, start=1):
        inside = contender.name in findings.ranking.within
        lines.append((str(number) if inside else "out", _label(contender), contender.figures))
    return lines


def _label(contender: Contender) -> str:
    return marked(contender.label, bool(contender.figures.chosen_on))


def _accuracy_columns(findings: Findings) -> list[_Column]:
    id_split = findings.id_split
    columns = [_Column(marked(f"{id_split.name} (ID)", id_split.selection), "id")]
    columns += [
        _Column(_scope_heading(findings, average.scope), average.scope)
        for average in findings.averages
    ]
    return columns + [_split_column(split) for split in findings.shifted]


def _split_column(split: SplitFacts) -> _Column:
    return _Column(marked(split.name, split.selection), split=split.name)


def _scope_heading(findings: Findings, scope: Scope) -> str:
    average = findings.average(scope)
    if average is None:
        return marked("ID", findings.id_split.selection)
    return marked(SHORT[scope], average.selection)


def _metric_table(findings: Findings, titles: dict[str, str]) -> Table:
    """A column for each metric and scope that has it; single splits where there is no mean."""
    figures_of_all = [figures for _, _, figures in _lines(findings)]
    scopes: list[Scope] = ["id", *(average.scope for average in findings.averages)]
    columns: list[tuple[str, str, _Column]] = []
    for metric, title in titles.items():
        for scope in scopes:
            choices = [_Column(_scope_heading(findings, scope), scope)]
            if not _measured(findings, figures_of_all, choices[0], metric) and scope == "shifted":
                choices = [_split_column(split) for split in findings.shifted]
            columns += [
                (metric, f"{title}, {choice.heading}", choice)
                for choice in choices
                if _measured(findings, figures_of_all, choice, metric)
            ]
    rows = [
        (label, *(_metric(column.value(findings, figures, m), m) for m, _, column in columns))
        for _, label, figures in _lines(findings)
    ]
    return Table(("", *(heading for _, heading, _ in columns)), tuple(rows))


def _measured(
    findings: Findings, figures_of_all: Sequence[Figures], column: _Column, metric: str
) -> bool:
    return any(column.value(findings, figures, metric) is not None for figures in figures_of_all)


def _metric(value: Value | None, metric: str) -> str:
    if value is None:
        return ""
    if metric in SHARES:
        return spread_percent(value)
    digits = ".3f" if metric in CALIBRATION else ".3g"
    spread = "" if value.sd is None else f" ± {value.sd:{digits}}"
    return f"{value.mean:{digits}}{spread}"


def _of_split(contender: Contender, split: SplitFacts) -> list[Change]:
    return [change for change in contender.changes if change.split == split.name]


def _change(change: Change) -> str:
    """`-1.2 (3/3)`: points, and the seeds in which the change of this sign is significant."""
    seeds = change.worse_in if change.difference < 0 else change.better_in
    return f"{points(change.difference)} ({seeds}/{len(change.by_seed)})"
