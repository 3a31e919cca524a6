"""The numbers as CSV: one value a row, so that any tool can pivot them.

A text cell that a spreadsheet would run as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from core.learning.comparison.document import ZERO_SHOT, ZERO_SHOT_LABEL, Comparison, Figures, Value

Cell = str | float | int | None


def results_csv(comparison: Comparison) -> str:
    """Every metric by split and average: the mean over seeds (no seed named), then each seed."""
    header = (
        "contender", "label", "kind", "split", "metric", "seed", "value", "sd", "low", "high", "n",
    )  # fmt: skip
    return _csv(header, _results(comparison))


def claims_csv(comparison: Comparison) -> str:
    """Every paired bootstrap, contender minus the one it is set against."""
    header = (
        "contender", "against", "scope", "n_seeds", "n", "difference", "low", "high", "p", "p_holm",
    )  # fmt: skip
    rows = (
        (
            c.contender,
            c.against,
            c.scope,
            c.n_seeds,
            c.n,
            c.difference,
            c.low,
            c.high,
            c.p,
            c.p_holm,
        )
        for c in comparison.findings.claims
    )
    return _csv(header, rows)


def changes_csv(comparison: Comparison) -> str:
    """Every split's change from zero-shot with McNemar's p, seed by seed."""
    header = ("contender", "split", "seed", "difference", "p_holm")
    rows = (
        (contender.name, change.split, seed, test.difference, test.p_holm)
        for contender in comparison.findings.contenders
        for change in contender.changes
        for seed, test in change.by_seed.items()
    )
    return _csv(header, rows)


def _results(comparison: Comparison) -> Iterator[Sequence[Cell]]:
    findings = comparison.findings
    models: list[tuple[str, str, Figures]] = [
        (contender.name, contender.label, contender.figures) for contender in findings.contenders
    ]
    if findings.zero_shot is not None:
        models.insert(0, (ZERO_SHOT, ZERO_SHOT_LABEL, findings.zero_shot))
    kinds = {split.name: split.kind for split in findings.splits}
    names = {average.scope: average.name for average in findings.averages}
    for name, label, figures in models:
        for split, values in figures.splits.items():
            yield from _values((name, label, kinds[split], split), values)
        for scope, values in figures.averages.items():
            yield from _values((name, label, "average", names[scope]), values)


def _values(first: tuple[str, ...], values: dict[str, Value]) -> Iterator[Sequence[Cell]]:
    for metric, value in values.items():
        yield (*first, metric, None, value.mean, value.sd, value.low, value.high, value.n)
        for seed, of_seed in value.by_seed.items():
            yield (*first, metric, seed, of_seed, None, None, None, value.n)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
