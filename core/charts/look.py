"""What all charts of a job share: fonts, colours, and that they take the width there is.

Colours of Okabe and Ito ("Color Universal Design", 2008), which colour-blind
readers tell apart; ink and grid are given by the page, for light and dark.
"""

from __future__ import annotations

import altair as alt

FONT = "system-ui, DejaVu Sans, sans-serif"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#f0e442")
ZERO_SHOT = "#7a7a7a"
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")  # for a height that follows the rows

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


def points() -> alt.NamedData:
    """The data set that whoever draws the chart fills."""
    return alt.NamedData(name="points")


def configured(chart: Chart) -> Chart:
    """With fonts and without a frame."""
    found: Chart = (
        chart.configure(font=FONT, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .configure_legend(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
    )
    return found
