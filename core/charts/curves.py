"""Values over training steps: a line for each series, ID solid and shifted dashed."""

from __future__ import annotations

import altair as alt

from core.charts.look import SERIES, Chart, configured, points

HEIGHT = 240


def chart() -> Chart:
    """`points`: {step, value, series, kind}, kind "id", "shift" or "loss"."""
    x = alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, grid=False))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    color = alt.Color(
        "series:N", title=None, scale=alt.Scale(range=list(SERIES)),
        legend=alt.Legend(orient="top", columns=2, labelLimit=120),
    )  # fmt: skip
    lines = (
        alt.Chart(points())
        .mark_line(strokeWidth=1.5, clip=True)
        .encode(
            x=x, y=y, color=color,
            strokeDash=alt.StrokeDash(
                "kind:N", legend=None,
                scale=alt.Scale(domain=["id", "shift", "loss"], range=[[1, 0], [5, 3], [1, 0]]),
            ),
        )
    )  # fmt: skip
    # Losses have a value for every step: dots would hide the line, but say what the pointer is at.
    dots = (
        alt.Chart(points())
        .mark_point(filled=True, size=30)
        .encode(
            x=x, y=y, color=color,
            opacity=alt.condition("datum.kind == 'loss'", alt.value(0), alt.value(1)),
            tooltip=["series:N", "step:Q", alt.Tooltip("value:Q", format=".4~f")],
        )
    )  # fmt: skip
    return configured((lines + dots).properties(width="container", height=HEIGHT))
