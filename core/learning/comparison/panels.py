"""The two charts of small panels: a split each with a bar a model, and a model each with its
calibration curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from core.learning.comparison.document import (
    ZERO_SHOT,
    Comparison,
    Figures,
    Findings,
    Scope,
    SplitFacts,
    Value,
)
from core.learning.comparison.marks import (
    FAINT,
    INK,
    LINE,
    Layout,
    Mark,
    coloured,
    models,
    table,
    texts,
    wrapped,
)
from core.learning.comparison.wording import counted, marked, percent

BAR = 13  # pixels
VALUES = 34  # pixels right of a panel, for its numbers
LEAST_IMAGES = 10  # a bin with fewer is not drawn: its accuracy is mostly chance
BETWEEN = 6  # pixels between two bars or their labels
CHARACTER = 6.7  # pixels, of a bold title


def split_bars(comparison: Comparison, layout: Layout) -> alt.VConcatChart:
    """Accuracy on ID, on each shifted split and in the means, with 95 % intervals."""
    findings, of_all = comparison.findings, models(comparison)
    across, width = layout.bars
    labels = [wrapped(mark.label, *layout.label) for mark, _ in of_all]
    rooms = [max(BAR, LINE * len(lines)) + BETWEEN for lines in labels]
    height = sum(rooms)
    panels: list[alt.LayerChart] = []
    for title, subtitle, values in _bar_panels(findings, [figures for _, figures in of_all]):
        rows = [
            mark.row(
                at=height - sum(rooms[:place]) - rooms[place] / 2,
                label="\n".join(label),
                mean=100 * value.mean,
                low=None if value.low is None else 100 * value.low,
                high=None if value.high is None else 100 * value.high,
                text=percent(value.mean),
            )
            for place, ((mark, _), label, value) in enumerate(
                zip(of_all, labels, values, strict=True)
            )
        ]
        panel = _bars(
            rows, [mark for mark, _ in of_all], width, height, labelled=len(panels) % across == 0
        )
        heading = _title(title, width + VALUES, subtitle)
        panels.append(panel.properties(width=width, height=height, title=heading))
    return _in_rows(panels, across, spacing=VALUES + 12)


def calibration_curves(comparison: Comparison, layout: Layout) -> alt.VConcatChart:
    """Accuracy against confidence in equal-width bins, ID and shifted images, zero-shot in grey."""
    findings, of_all = comparison.findings, models(comparison)
    across, width = layout.curves
    grey = [] if findings.zero_shot is None else _curve_rows(ZERO_SHOT, findings.zero_shot)
    panels = []
    for mark, figures in of_all:
        own = [] if mark.name == ZERO_SHOT else _curve_rows(mark.name, figures)
        panel = _curves(grey, own, [mark for mark, _ in of_all])
        heading = _title(mark.label, width, "", lines=3)
        panels.append(panel.properties(width=width, height=width, title=heading))
    return _in_rows(panels, across, spacing=22)


def _bar_panels(
    findings: Findings, of_all: Sequence[Figures]
) -> Iterator[tuple[str, str, list[Value]]]:
    """(title, subtitle, a value of each model)."""
    id_split = findings.id_split
    yield _split_panel(id_split, f"{id_split.name} (ID)", of_all)
    for average in findings.averages:
        values = [findings.accuracy(figures, average.scope) for figures in of_all]
        splits = counted(len(average.members), "split")
        yield marked(average.name, average.selection), splits, values
    for split in findings.shifted:
        yield _split_panel(split, split.name, of_all)


def _split_panel(
    split: SplitFacts, name: str, of_all: Sequence[Figures]
) -> tuple[str, str, list[Value]]:
    values = [figures.splits[split.name]["accuracy"] for figures in of_all]
    return marked(name, split.selection), counted(split.n, "image"), values


def _bars(
    rows: list[dict[str, Any]], marks: list[Mark], width: int, height: int, *, labelled: bool
) -> alt.LayerChart:
    at = alt.Y("at:Q", scale=alt.Scale(domain=[0, height], nice=False), axis=None)
    ticks = alt.Axis(title=None, values=[0, 25, 50, 75, 100])
    mean = alt.X("mean:Q", scale=alt.Scale(domain=[0, 100]), axis=ticks)
    layers = [
        table(rows)
        .mark_bar(orient="horizontal", size=BAR, opacity=0.65)
        .encode(at, mean, alt.X2(datum=0), coloured(marks)),
        *_zero_shot_line(rows),
        table(rows)
        .mark_rule(strokeWidth=1.5, color=INK)
        .encode(at, alt.X("low:Q"), alt.X2("high:Q")),
        *texts(
            [{**row, "label": row["text"]} for row in rows], "left", y=at, x=alt.value(width + 5)
        ),
        *(texts(rows, "right", y=at, x=alt.value(-7)) if labelled else []),
    ]
    return alt.LayerChart(layer=layers)


def _zero_shot_line(rows: list[dict[str, Any]]) -> list[alt.Chart]:
    own = [row for row in rows if row["name"] == ZERO_SHOT]
    line = table(own).mark_rule(strokeDash=[3, 2], color="#000000", strokeWidth=0.8)
    return [line.encode(alt.X("mean:Q"))] if own else []


def _curve_rows(name: str, figures: Figures) -> list[dict[str, Any]]:
    scopes: tuple[Scope, ...] = (
        "id",
        "shifted" if "shifted" in figures.calibration else "corruptions",
    )
    return [
        {"name": name, "scope": scope, "confidence": found.confidence, "accuracy": found.accuracy}
        for scope in scopes
        for found in figures.calibration.get(scope, ())
        if found.n >= LEAST_IMAGES
    ]


def _curves(
    grey: list[dict[str, Any]], own: list[dict[str, Any]], marks: list[Mark]
) -> alt.LayerChart:
    """ID solid with dots, shifted dashed with rings; a grey diagonal is perfect calibration."""
    ticks = alt.Axis(title=None, values=[0, 0.5, 1], format="~g")
    unit = alt.Scale(domain=[0, 1])
    x = alt.X("confidence:Q", scale=unit, axis=ticks)
    y = alt.Y("accuracy:Q", scale=unit, axis=ticks)
    diagonal = table([{"confidence": at, "accuracy": at} for at in (0, 1)])
    layers = [diagonal.mark_line(color="#bbbbbb", strokeWidth=0.8).encode(x, y)]
    for rows, of_contender in ((grey, False), (own, True)):
        for dashed in (False, True):
            part = [row for row in rows if (row["scope"] != "id") == dashed]
            if part:
                lines = table(part).mark_line(
                    strokeWidth=1.6 if of_contender else 1.2,
                    strokeDash=[4, 3] if dashed else [1, 0],
                    color=FAINT,
                    point={"size": 16, "filled": not dashed, "color": FAINT},
                )
                encoded = lines.encode(x, y)
                layers.append(encoded.encode(coloured(marks)) if of_contender else encoded)
    return alt.LayerChart(layer=layers)


def _title(text: str, width: int, subtitle: str, lines: int = 2) -> alt.TitleParams:
    wrapped_ = wrapped(text, int(width / CHARACTER), lines)
    return alt.TitleParams(wrapped_, subtitle=subtitle, offset=6)


def _in_rows(panels: Sequence[alt.LayerChart], across: int, spacing: int) -> alt.VConcatChart:
    rows = [
        alt.hconcat(*panels[start : start + across], spacing=spacing)
        for start in range(0, len(panels), across)
    ]
    return alt.vconcat(*rows, spacing=16)
