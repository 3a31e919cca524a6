"""`results.json`: the rows, and beside them everything that says how to read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from core.learning.named_average import NamedAverage
from core.learning.report.notes import notes
from core.learning.report.protocol import Protocol, RobustnessLine
from core.learning.report.rows import ResultRow

AVERAGED = (
    "accuracy",
    "mean_per_class_recall",
    "macro_f1",
    "nll",
    "nll_calibrated",
    "brier",
    "ece",
    "ece_calibrated",
    "energy_gap",
    "feature_distortion",
    "shift_flagged",
    "effective_robustness",
)
"""Metrics whose mean over splits means something: a p value's and a temperature's does not."""


def results_document(
    rows: Sequence[ResultRow], protocol: Protocol, lines: Sequence[RobustnessLine] = ()
) -> dict[str, Any]:
    """JSON-able, without NaN: a number that is not finite is null."""
    models = dict.fromkeys(row.model for row in rows)
    return {
        "notes": notes(rows, protocol, lines),
        "selection": {
            "splits": list(protocol.selection_splits),
            "models": {model: list(protocol.chosen(model)) for model in models},
        },
        "averages": [_average(average, rows, protocol) for average in protocol.averages],
        "effective_robustness": [_line(line) for line in lines],
        "rows": [
            {
                **asdict(row),
                "value": finite(row.value),
                "low": finite(row.low),
                "high": finite(row.high),
                "selection": protocol.touched(row.model, row.split),
            }
            for row in rows
        ],
    }


def average_values(
    average: NamedAverage, rows: Iterable[ResultRow]
) -> dict[tuple[int, str, str], float]:
    """The average by (seed, model, metric), where every member has that metric."""
    found: dict[tuple[int, str, str], dict[str, float]] = {}
    for row in rows:
        if row.metric in AVERAGED and row.split in average.members:
            found.setdefault((row.seed, row.model, row.metric), {})[row.split] = row.value
    whole = {key: values for key, values in found.items() if len(values) == len(average.members)}
    return {key: average.of(values) for key, values in whole.items()}


def finite(value: float | None) -> float | None:
    """The number, or None when it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _average(
    average: NamedAverage, rows: Sequence[ResultRow], protocol: Protocol
) -> dict[str, Any]:
    used = any(protocol.used(split) for split in average.members)
    return {
        "name": average.name,
        "members": list(average.members),
        "selection": used,
        "values": [
            {
                "seed": seed,
                "model": model,
                "metric": metric,
                "value": finite(value),
                "selection": used or bool(protocol.chosen(model)),
            }
            for (seed, model, metric), value in average_values(average, rows).items()
        ],
    }


def _line(line: RobustnessLine) -> dict[str, Any]:
    return {
        "seed": line.seed,
        "model": line.model,
        "split": line.split,
        "id_accuracy": line.id_accuracy,
        **asdict(line.fit),
    }
