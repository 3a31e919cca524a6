"""Accuracy against confidence (Guo et al., ICML 2017, Figure 1): what lies under the diagonal is
overconfident."""

from __future__ import annotations

import altair as alt

from core.charts.look import SERIES, ZERO_SHOT, Chart, configured, points

HEIGHT = 280


def chart() -> Chart:
    """`points`: {confidence, accuracy, model, n}, shares from 0 to 1, one for each bin."""
    unit = alt.Scale(domain=[0, 1])
    x = alt.X("confidence:Q", title="confidence", scale=unit)
    y = alt.Y("accuracy:Q", title="accuracy", scale=unit)
    diagonal = (
        alt.Chart(alt.sequence(start=0, stop=2, step=1, as_="c"))
        .mark_line(strokeDash=[3, 3], color=ZERO_SHOT, strokeWidth=1)
        .encode(x=alt.X("c:Q", title="confidence"), y=alt.Y("c:Q", title="accuracy"))
    )
    curve = (
        alt.Chart(points())
        .mark_line(point=alt.OverlayMarkDef(size=36))
        .encode(
            x=x, y=y,
            color=alt.Color(
                "model:N", title=None, legend=alt.Legend(orient="top"),
                scale=alt.Scale(
                    domain=["zero-shot", "this model"], range=[ZERO_SHOT, SERIES[0]]
                ),
            ),
            tooltip=["model:N", alt.Tooltip("confidence:Q", format=".2f"),
                     alt.Tooltip("accuracy:Q", format=".2f"), "n:Q"],
        )
    )  # fmt: skip
    return configured((diagonal + curve).properties(width="container", height=HEIGHT))
