"""The demo's one table: five rows, ID accuracy, each shift, their mean, NLL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.learning.report import Cell, ResultRow, mean_over_seeds

SHIFTED = ("painting", "clipart", "infograph", "sketch")
HEADER = ("", "real (ID)", *SHIFTED, "mean shift", "NLL shift")
TITLES = {
    ("ft", "zero_shot"): "zero-shot",
    ("ft", "fine_tuned"): "plain FT",
    ("lipsum_ft", "fine_tuned"): "Lipsum-FT",
    ("ft", "wise_ft@0.5"): "FT, WiSE-FT 0.5",
    ("lipsum_ft", "wise_ft@0.5"): "Lipsum-FT, WiSE-FT 0.5",
}


def table_rows(results: Mapping[str, Sequence[ResultRow]]) -> list[tuple[str, ...]]:
    """Cells of the table, from each method's result rows; accuracy in per cent."""
    lines = []
    for (method, model), title in TITLES.items():
        rows = results[method]
        cells = [
            _percent(mean_over_seeds(rows, model, splits, "accuracy"))
            for splits in (["test"], *([name] for name in SHIFTED), list(SHIFTED))
        ]
        nll = mean_over_seeds(rows, model, list(SHIFTED), "nll")
        lines.append((title, *cells, _cell(nll, 3)))
    return lines


def _percent(cell: Cell | None) -> str:
    if cell is None:
        return ""
    spread = None if cell.spread is None else 100 * cell.spread
    return _cell(Cell(100 * cell.value, spread), 1)


def _cell(cell: Cell | None, digits: int) -> str:
    if cell is None:
        return ""
    spread = "" if cell.spread is None else f" ± {cell.spread:.{digits}f}"
    return f"{cell.value:.{digits}f}{spread}"
