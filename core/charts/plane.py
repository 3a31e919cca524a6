"""ID accuracy against the mean over shifted splits: zero-shot, the line of interpolations, and the
model that is looked at (WiSE-FT, Wortsman et al., CVPR 2022, Figure 1)."""

from __future__ import annotations

import altair as alt

from core.charts.look import SERIES, ZERO_SHOT, Chart, configured, points

HEIGHT = 320
KINDS = ["zero-shot", "interpolation", "fine-tuned", "shown"]


def chart() -> Chart:
    """`points`: {id, shift, kind, label, order}, accuracies in percent; the line goes by `order`,
    which is null for what does not lie on it."""
    base = alt.Chart(points())
    x = alt.X(
        "id:Q", title="ID accuracy, %", axis=alt.Axis(tickCount=6, labelOverlap=True),
        scale=alt.Scale(zero=False, padding=20, nice=False),
    )  # fmt: skip
    y = alt.Y(
        "shift:Q", title="mean over shifted splits, %",
        scale=alt.Scale(zero=False, padding=20, nice=False),
    )  # fmt: skip
    # What does not lie on it is a line of its own, with one point. Without it there would be scales
    # of no data where nothing lies on the line, of which Vega complains.
    line = (
        base.transform_calculate(line="isValid(datum.order) ? 'the line' : datum.label")
        .mark_line(color=SERIES[0], opacity=0.6, strokeWidth=1.5)
        .encode(x=x, y=y, order="order:Q", detail="line:N")
    )
    legend = alt.Legend(orient="top", columns=2)
    marks = base.mark_point(filled=True, opacity=1).encode(
        x=x, y=y,
        color=alt.Color(
            "kind:N", title=None, legend=legend,
            scale=alt.Scale(domain=KINDS, range=[ZERO_SHOT, SERIES[0], SERIES[0], SERIES[1]]),
        ),
        shape=alt.Shape(
            "kind:N", title=None, legend=legend,
            scale=alt.Scale(domain=KINDS, range=["diamond", "circle", "square", "triangle-up"]),
        ),
        size=alt.condition("datum.kind == 'interpolation'", alt.value(40), alt.value(150)),
        tooltip=[
            "label:N", alt.Tooltip("id:Q", format=".1f"), alt.Tooltip("shift:Q", format=".1f"),
        ],
    )  # fmt: skip
    return configured((line + marks).properties(width="container", height=HEIGHT))
