"""How a contender looks in every chart, how much room a chart has, and fonts.

Fourteen colours: Paul Tol's nine "muted" ones ("Colour schemes", SRON technical note 2021), made
for colour vision deficiencies, and five of ours that stay at least as far apart as his nearest
two, however red, green or blue is missing. With five shapes the pair repeats after 70 contenders.
Zero-shot is black.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from core.learning.comparison.document import (
    ZERO_SHOT,
    ZERO_SHOT_LABEL,
    Comparison,
    Figures,
    Findings,
)
from core.learning.comparison.wording import marked, mean_over

# DejaVu is what a bare Linux has; Verdana, of the same widths, what most readers of SVG have.
FONT = "DejaVu Sans, Verdana, sans-serif"
FONT_SIZE = 11
LINE = 14  # pixels from one line of text to the next
INK = "#222222"
FAINT = "#8a8a8a"
COLOURS = (
    "#332288", "#cc6677", "#117733", "#88ccee", "#aa4499",
    "#ddcc77", "#44aa99", "#882255", "#999933", "#9080f0",
    "#502010", "#e0b020", "#a02010", "#5050c0",
)  # fmt: skip
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down")

Chart = alt.LayerChart | alt.VConcatChart


@dataclass(frozen=True)
class Layout:
    """The room of a chart, in pixels, and how many panels stand side by side."""

    plane: tuple[int, int]  # width and least height of a plane
    beside: bool  # labels beside a plane, or beneath it
    bars: tuple[int, int]  # panels in a row, width of one
    curves: tuple[int, int]
    label: tuple[int, int]  # characters in a line and lines of a bar's label


WIDE = Layout((440, 400), True, (3, 128), (5, 108), (30, 2))
NARROW = Layout((262, 280), False, (1, 150), (2, 116), (17, 3))  # a telephone of 360 pixels


@dataclass(frozen=True)
class Mark:
    """One model's look. `name` is unique; `label` is what a reader sees."""

    name: str
    label: str
    colour: str
    shape: str
    taken: bool  # the recommended one, set in bold

    def row(self, **values: Any) -> dict[str, Any]:
        """A datum with the columns that `coloured`, `shaped` and `texts` read."""
        return {"name": self.name, "taken": self.taken, **values}


def models(comparison: Comparison) -> list[tuple[Mark, Figures]]:
    """Zero-shot where there is one, then the contenders best first, with their looks.

    Looks follow the order in which contenders were given, so a contender's does not change when
    its rank does.
    """
    findings, take = comparison.findings, comparison.verdict.take
    found = []
    if findings.zero_shot is not None:
        label = marked(ZERO_SHOT_LABEL, bool(findings.zero_shot.chosen_on))
        zero_shot = Mark(ZERO_SHOT, label, "#000000", "cross", take == ZERO_SHOT)
        found.append((zero_shot, findings.zero_shot))
    given = [contender.name for contender in findings.contenders]
    for contender in findings.ranked:
        number = given.index(contender.name)
        colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
        label = marked(contender.label, bool(contender.figures.chosen_on))
        mark = Mark(contender.name, label, colour, shape, take == contender.name)
        found.append((mark, contender.figures))
    return found


def coloured(marks: list[Mark]) -> alt.Color:
    """Colour by name; labels stand in the chart, so there is no legend."""
    domain = [mark.name for mark in marks]
    scale = alt.Scale(domain=domain, range=[mark.colour for mark in marks])
    return alt.Color("name:N", scale=scale, legend=None)


def shaped(marks: list[Mark]) -> alt.Shape:
    """Shape by name."""
    domain = [mark.name for mark in marks]
    scale = alt.Scale(domain=domain, range=[mark.shape for mark in marks])
    return alt.Shape("name:N", scale=scale, legend=None)


def table(rows: list[dict[str, Any]]) -> alt.Chart:
    """A chart over rows that travel inside its specification."""
    return alt.Chart(alt.InlineData(values=rows))


def wrapped(text: str, width: int, lines: int) -> list[str]:
    """The text in lines of at most `width` characters, cut with an ellipsis after `lines`."""
    ellipsis = "\N{HORIZONTAL ELLIPSIS}"
    cut = textwrap.wrap(text, width, max_lines=lines, placeholder=ellipsis, break_on_hyphens=False)
    return cut or [""]


def texts(
    rows: list[dict[str, Any]], align: Literal["left", "right"], **encodings: Any
) -> list[alt.Chart]:
    """The rows' `label`, of one line or more, centred on where the encodings put it.

    Vega centres the first line alone, so labels are drawn in groups of equally many lines. The
    row whose `taken` is true is set in bold.
    """
    groups: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["label"].count("\n"), row.get("taken", False)), []).append(row)
    return [
        table(group)
        .mark_text(
            align=align,
            baseline="middle",
            color=INK,
            dy=-breaks * LINE / 2,
            fontSize=FONT_SIZE,
            fontWeight="bold" if taken else "normal",
            lineBreak="\n",
            lineHeight=LINE,
        )
        .encode(alt.Text("label:N"), **encodings)
        for (breaks, taken), group in groups.items()
    ]


def measure_title(findings: Findings) -> str:
    """The measure as the title of an axis."""
    average = findings.average(findings.ranking.measure)
    if average is None:
        split = findings.id_split
        return marked(f"ID accuracy on {split.name}, top-1 %", split.selection)
    return marked(f"{mean_over(average)}, top-1 %", average.selection)


def configured(chart: Chart) -> Chart:
    """Fonts and frames of every chart."""
    framed: Chart = chart.configure(
        font=FONT,
        background="white",
        padding=8,
        aria=False,
        view=alt.ViewConfig(stroke="#cccccc"),
        axis=alt.AxisConfig(
            labelFontSize=FONT_SIZE,
            titleFontSize=FONT_SIZE,
            titleFontWeight="normal",
            gridColor="#eeeeee",
            domainColor=FAINT,
            tickColor=FAINT,
            labelColor=INK,
            titleColor=INK,
        ),
        title=alt.TitleConfig(
            anchor="start",
            fontSize=FONT_SIZE,
            subtitleFontSize=FONT_SIZE,
            subtitleLineHeight=LINE,
            color=INK,
            subtitleColor="#555555",
            subtitlePadding=4,
        ),
    )
    return framed
