"""Result tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table

from core.learning.report import ResultRow, corruption_splits, mean_over_seeds, shifted_splits

SIGNIFICANT = 0.05
_MARK = "*"
_DETAILS = (
    ("NLL", "nll", 3),
    ("NLL at T", "nll_calibrated", 3),
    ("ECE", "ece", 3),
    ("ECE at T", "ece_calibrated", 3),
    ("energy gap", "energy_gap", 2),
    ("distortion", "feature_distortion", 3),
)


TABLE_WIDTH = 112  # characters


def wide_console() -> Console:
    """For tables of many columns: a wrapped line reads better than a cut name."""
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)
    return console


def to_rows(items: Iterable[Mapping[str, Any]]) -> list[ResultRow]:
    """Rows of the API's `results` as the report's; a number that was not finite is left out."""
    return [
        ResultRow(**{field.name: item[field.name] for field in fields(ResultRow)})
        for item in items
        if item["value"] is not None
    ]


def results_tables(items: Iterable[Mapping[str, Any]]) -> RenderableType:
    """What a job found: accuracy on every split, and how sure and how far moved the models are."""
    items = list(items)
    rows = to_rows(items)
    selected = {(item["model"], item["split"]) for item in items if item.get("selection")}
    parts: list[RenderableType] = [_accuracy(rows, selected), _details(rows, selected)]
    if any(row.metric == "mcnemar_p_holm" for row in rows):
        parts.append(
            f"{_MARK} differs from zero_shot on the same images: McNemar, Holm-corrected over "
            f"splits, p below {SIGNIFICANT}{' with every seed' if _n_seeds(rows) > 1 else ''}"
        )
    if selected:
        parts.append("(s) touched by a split that was used for selection: optimistic")
    return Group(*parts)


def _accuracy(rows: list[ResultRow], selected: set[tuple[str, str]]) -> Table:
    """One line a model: top-1 on every split, and means over shifted and built-in ones."""
    shifted, built_in = shifted_splits(rows), corruption_splits(rows)
    splits = [s for s in dict.fromkeys(row.split for row in rows) if s not in built_in]
    columns = {split: [split] for split in splits}
    if shifted:
        columns["mean of shifts"] = shifted
    if built_in:
        columns[f"mean of {len(built_in)} corruptions"] = built_in
    table = Table("top-1 %", *columns)
    for model in dict.fromkeys(row.model for row in rows):
        cells = [_percent(rows, model, members, selected) for members in columns.values()]
        table.add_row(model, *cells)
    return table


def _details(rows: list[ResultRow], selected: set[tuple[str, str]]) -> Table:
    """One line a model: means over the shifted splits, or over the others where there are none."""
    measured = [split for split in dict.fromkeys(row.split for row in rows) if split != "val"]
    shifted = shifted_splits(rows) or measured
    kept = [column for column in _DETAILS if any(row.metric == column[1] for row in rows)]
    table = Table(f"mean of {', '.join(shifted)}", *(title for title, _, _ in kept))
    for model in dict.fromkeys(row.model for row in rows):
        means = [
            (mean_over_seeds(rows, model, shifted, metric), digits) for _, metric, digits in kept
        ]
        cells = ["" if cell is None else f"{cell.value:.{digits}f}" for cell, digits in means]
        table.add_row(f"{model}{_touched(model, shifted, selected)}", *cells)
    return table


def _percent(
    rows: list[ResultRow], model: str, splits: list[str], selected: set[tuple[str, str]]
) -> str:
    cell = mean_over_seeds(rows, model, splits, "accuracy")
    if cell is None:
        return ""
    spread = "" if cell.spread is None else f" ± {100 * cell.spread:.1f}"
    mark = _MARK if len(splits) == 1 and _differs(rows, model, splits[0]) else ""
    return f"{100 * cell.value:.1f}{spread}{mark}{_touched(model, splits, selected)}"


def _touched(model: str, splits: list[str], selected: set[tuple[str, str]]) -> str:
    return " (s)" if any((model, split) in selected for split in splits) else ""


def _differs(rows: list[ResultRow], model: str, split: str) -> bool:
    found = [
        row.value
        for row in rows
        if (row.model, row.split, row.metric) == (model, split, "mcnemar_p_holm")
    ]
    return bool(found) and max(found) < SIGNIFICANT


def _n_seeds(rows: list[ResultRow]) -> int:
    return len({row.seed for row in rows})
