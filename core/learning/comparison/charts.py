"""The four charts of a comparison, as Vega-Lite and drawn as PNG or SVG.

Drawn by vl-convert: no browser, and no network, since every chart carries its own data.
"""

from __future__ import annotations

import textwrap

import altair as alt
import vl_convert

from core.learning.comparison.document import Comparison
from core.learning.comparison.marks import Chart, Layout, configured
from core.learning.comparison.panels import LEAST_IMAGES, calibration_curves, split_bars
from core.learning.comparison.planes import cost_against_shift, id_against_shift

TITLES = {
    "plane": "ID against shift",
    "splits": "Split by split",
    "calibration": "Calibration",
    "cost": "Cost against shift",
}
HOW_TO_READ = {
    "plane": "Further up is more accurate under shift, further right on ID; bars are one standard "
    "deviation over seeds, lines run from zero-shot through interpolations (alpha) to fine-tuned, "
    "and the grey band is within half a point of the best ID accuracy.",
    "splits": "Top-1 accuracy in %; whiskers are 95 % intervals, the dashed line is zero-shot.",
    "calibration": "Accuracy (up) against confidence (right): a curve under the diagonal is "
    "overconfident; solid with dots is ID, dashed with rings is the shifted images pooled, grey is "
    f"zero-shot, and bins of fewer than {LEAST_IMAGES} images are not drawn.",
    "cost": "Further left is cheaper, what a contender was made from included; further up is more "
    "accurate under shift; the dashed line is zero-shot, which needs no training.",
}
PIXELS = 2  # of a PNG for one of the chart
CHARACTERS = 100  # in a line of a PNG's subtitle
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
_NAMESPACES = (
    ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1"'
)


def charts(comparison: Comparison, layout: Layout) -> dict[str, Chart]:
    """The charts of TITLES that there is data for: no plane without a shift."""
    shifted = comparison.findings.ranking.measure != "id"
    drawn = {
        "plane": id_against_shift(comparison, layout) if shifted else None,
        "splits": split_bars(comparison, layout),
        "calibration": calibration_curves(comparison, layout),
        "cost": cost_against_shift(comparison, layout),
    }
    return {name: configured(chart) for name, chart in drawn.items() if chart is not None}


def png(name: str, chart: Chart, what: str) -> bytes:
    """The chart as PNG with its title, `what` was compared and how to read it."""
    subtitle = [what, *textwrap.wrap(HOW_TO_READ[name], CHARACTERS)]
    titled = chart.properties(
        title=alt.TitleParams(TITLES[name], subtitle=subtitle, fontSize=15, offset=14)
    )
    drawn: bytes = vl_convert.vegalite_to_png(
        titled.to_dict(), vl_version=_VEGA_LITE, scale=PIXELS, allowed_base_urls=[]
    )
    return drawn


def svg(name: str, chart: Chart) -> str:
    """The chart as an SVG element for an HTML page."""
    drawn: str = vl_convert.vegalite_to_svg(
        chart.to_dict(), vl_version=_VEGA_LITE, allowed_base_urls=[]
    )
    # A parser of HTML knows what <svg> is; its content is read out from the tables instead.
    return drawn.replace(_NAMESPACES, f' role="img" aria-label="{TITLES[name]}"', 1)
