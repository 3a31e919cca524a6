"""The two planes: ID accuracy against shift, and cost against shift."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from core.learning.comparison.document import (
    ID_TOLERANCE,
    ZERO_SHOT,
    ZERO_SHOT_LABEL,
    Comparison,
    Contender,
)
from core.learning.comparison.marks import (
    FONT_SIZE,
    Layout,
    Mark,
    coloured,
    measure_title,
    models,
    table,
)
from core.learning.comparison.scatter import Axis, Dot, around, around_logarithmic, scatter
from core.learning.comparison.wording import marked

LEAST = 2.0  # points that an axis of accuracy spans at least
SAME = 5e-4  # accuracies nearer than this are one point of a curve


def id_against_shift(comparison: Comparison, layout: Layout) -> alt.VConcatChart:
    """Every model with one standard deviation over seeds each way, alpha curves, the ID band."""
    findings = comparison.findings
    dots = []
    for mark, figures in models(comparison):
        own, shift = findings.accuracy(figures, "id"), findings.measured(figures)
        errors = [100 * (value.sd or 0.0) for value in (own, shift)]
        dots.append(Dot(mark, 100 * own.mean, 100 * shift.mean, *errors))
    curves = distinct_curves(findings.contenders)
    along = [point for contender in curves for point in contender.curve]
    best = findings.contender(findings.ranking.best_id)
    high = 100 * findings.accuracy(best.figures, "id").mean
    low = high - 100 * ID_TOLERANCE
    x = around(
        marked(f"ID accuracy on {findings.id_split.name}, top-1 %", findings.id_split.selection),
        [
            low,
            *(d.x + side * d.x_error for d in dots for side in (-1, 1)),
            *(100 * point.id.mean for point in along),
        ],
        least=LEAST,
    )
    y = around(
        measure_title(findings),
        [
            *(d.y + side * d.y_error for d in dots for side in (-1, 1)),
            *(100 * point.shift.mean for point in along),
        ],
        least=LEAST,
    )
    under = [_band(low, high, x), *_curves(curves, [dot.mark for dot in dots], x, y)]
    return scatter(dots, x, y, under, layout)


def cost_against_shift(comparison: Comparison, layout: Layout) -> alt.VConcatChart | None:
    """Seconds a seed, on a logarithmic scale, against the measure; None where no cost is known."""
    findings = comparison.findings
    dots = []
    for mark, figures in models(comparison):
        seconds = None if mark.name == ZERO_SHOT else findings.contender(mark.name).seconds_per_seed
        if seconds:
            value = findings.measured(figures)
            dots.append(Dot(mark, seconds, 100 * value.mean, 0.0, 100 * (value.sd or 0.0)))
    if not dots:
        return None
    zero_shot = findings.zero_shot
    lines = [] if zero_shot is None else [100 * findings.measured(zero_shot).mean]
    x = around_logarithmic("seconds a seed (logarithmic)", [dot.x for dot in dots], least=4.0)
    y = around(
        measure_title(findings),
        [*lines, *(dot.y + side * dot.y_error for dot in dots for side in (-1, 1))],
        least=LEAST,
    )
    return scatter(dots, x, y, _zero_shot_line(lines, y), layout)


def distinct_curves(contenders: Sequence[Contender]) -> list[Contender]:
    """Contenders whose alpha curve is not part of another's: a job and what was combined from it
    hold the same line."""
    drawn: list[Contender] = []
    for contender in sorted(contenders, key=lambda c: -len(c.curve)):
        points = [(point.id.mean, point.shift.mean) for point in contender.curve]
        if points and not any(_holds(other, points) for other in drawn):
            drawn.append(contender)
    return [contender for contender in contenders if contender in drawn]


def _holds(contender: Contender, points: Sequence[tuple[float, float]]) -> bool:
    own = [(point.id.mean, point.shift.mean) for point in contender.curve]
    return all(any(abs(x - a) < SAME and abs(y - b) < SAME for a, b in own) for x, y in points)


def _band(low: float, high: float, x: Axis) -> alt.Chart:
    band: alt.Chart = table([{"low": low, "high": high}]).mark_rect(color="#e9e9e4")
    return band.encode(x.x("low"), alt.X2("high:Q"))


def _curves(
    contenders: Sequence[Contender], marks: list[Mark], x: Axis, y: Axis
) -> list[alt.Chart]:
    rows = [
        {
            "name": contender.name,
            "alpha": point.alpha,
            "x": 100 * point.id.mean,
            "y": 100 * point.shift.mean,
        }
        for contender in contenders
        for point in contender.curve
    ]
    if not rows:
        return []
    line = table(rows).mark_line(strokeWidth=1, opacity=0.6, point={"size": 9, "filled": True})
    return [line.encode(x.x("x"), y.y("y"), coloured(marks), order=alt.Order("alpha:Q"))]


def _zero_shot_line(heights: Sequence[float], y: Axis) -> list[alt.Chart]:
    rows = [{"y": height, "label": ZERO_SHOT_LABEL} for height in heights]
    if not rows:
        return []
    return [
        table(rows).mark_rule(strokeDash=[4, 3], color="#000000").encode(y.y("y")),
        table(rows)
        .mark_text(align="left", baseline="bottom", dy=-2, fontSize=FONT_SIZE)
        .encode(y.y("y"), alt.Text("label:N"), x=alt.value(4)),
    ]
