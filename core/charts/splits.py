"""Zero-shot beside another model on every split: a dot for each, and its 95 % interval."""

from __future__ import annotations

import altair as alt

from core.charts.look import FIT, SERIES, ZERO_SHOT, Chart, configured, points

HEIGHT = 260  # pixels, for six splits; the page gives a chart of more of them more


def chart() -> Chart:
    """`points`: {split, model, value, low, high, place}, in percent; `model` is "zero-shot" or
    "this model", `place` orders the splits."""
    colour = alt.Color(
        "model:N",
        title=None,
        scale=alt.Scale(domain=["zero-shot", "this model"], range=[ZERO_SHOT, SERIES[0]]),
        legend=alt.Legend(orient="top"),
    )
    split = alt.Y(
        "split:N", title=None, sort=alt.EncodingSortField("place", op="min"),
        axis=alt.Axis(labelLimit=130, grid=True),
    )  # fmt: skip
    apart = alt.YOffset("model:N", sort=["zero-shot", "this model"])
    base = alt.Chart(points())
    whiskers = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="top-1 accuracy, %", scale=alt.Scale(zero=False, nice=True),
                axis=alt.Axis(tickCount=8)),
        x2="high:Q", y=split, yOffset=apart, color=colour,
    )  # fmt: skip
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="value:Q", y=split, yOffset=apart, color=colour,
        shape=alt.Shape(
            "model:N", title=None, legend=alt.Legend(orient="top"),
            scale=alt.Scale(domain=["zero-shot", "this model"], range=["diamond", "circle"]),
        ),
        tooltip=["split:N", "model:N", alt.Tooltip("value:Q", format=".1f")],
    )  # fmt: skip
    return configured((whiskers + dots).properties(width="container", height=HEIGHT, autosize=FIT))
