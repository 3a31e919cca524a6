"""The comparison as one HTML file that needs nothing beside it: no script, no address outside."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from core.learning.comparison import tables
from core.learning.comparison.charts import HOW_TO_READ, TITLES, charts, svg
from core.learning.comparison.document import Comparison, Contender
from core.learning.comparison.marks import NARROW, WIDE
from core.learning.comparison.wording import counted, marked, members_of


def html(comparison: Comparison) -> str:
    """The page. Names come from users and are escaped: by Jinja, and inside SVG by vl-convert."""
    environment = Environment(
        loader=PackageLoader("core.learning.comparison", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    findings = comparison.findings
    return environment.get_template("page.html.j2").render(
        comparison=comparison,
        findings=findings,
        figures=_figures(comparison),
        tables=tables,
        claims=[
            (label, tables.claim_table(findings, name))
            for name, label in tables.references(findings)
        ],
        references=_references(findings.ranked),
        counted=counted,
        marked=marked,
        members_of=members_of,
    )


def _figures(comparison: Comparison) -> list[dict[str, str]]:
    """Each chart twice, for a screen and for a telephone; the page shows one of them."""
    wide, narrow = charts(comparison, WIDE), charts(comparison, NARROW)
    return [
        {
            "name": name,
            "title": TITLES[name],
            "how": HOW_TO_READ[name],
            "wide": svg(name, wide[name]),
            "narrow": svg(name, narrow[name]),
        }
        for name in wide
    ]


def _references(contenders: tuple[Contender, ...]) -> list[tuple[str, str]]:
    """(method, citation), once each."""
    return list(dict.fromkeys((c.method_title, c.citation) for c in contenders))
