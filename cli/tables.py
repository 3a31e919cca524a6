"""Result tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from rich.table import Table

from core.learning.report import ResultRow, mean_over_seeds, shifted_splits


def to_rows(items: Iterable[Mapping[str, Any]]) -> list[ResultRow]:
    """Rows of the API's `results` as the report's rows."""
    return [
        ResultRow(**{field.name: item[field.name] for field in fields(ResultRow)}) for item in items
    ]


def results_table(items: Iterable[Mapping[str, Any]]) -> Table:
    """One line a model: accuracy on every split, mean over the shifted ones, NLL."""
    rows = to_rows(items)
    splits = list(dict.fromkeys(row.split for row in rows))
    shifted = shifted_splits(rows)
    table = Table("top-1 %", *splits, *(["mean of shifts", "NLL of shifts"] if shifted else []))
    for model in dict.fromkeys(row.model for row in rows):
        cells = [_percent(rows, model, [split]) for split in splits]
        if shifted:
            nll = mean_over_seeds(rows, model, shifted, "nll")
            cells += [_percent(rows, model, shifted), f"{nll.value:.3f}" if nll else ""]
        table.add_row(model, *cells)
    return table


def _percent(rows: list[ResultRow], model: str, splits: list[str]) -> str:
    cell = mean_over_seeds(rows, model, splits, "accuracy")
    if cell is None:
        return ""
    spread = "" if cell.spread is None else f" ± {100 * cell.spread:.1f}"
    return f"{100 * cell.value:.1f}{spread}"
