"""How `auto` does over several worlds: one row a committed comparison."""

from __future__ import annotations

from core.learning.comparison.document import Comparison, Contender, Figures, Findings
from core.learning.comparison.wording import percent
from core.learning.report import markdown_table

AUTO = "auto"
_BESIDE = ("ft", "lipsum_ft")
HEADER = (
    "world",
    "zero-shot",
    *_BESIDE,
    "best ID accuracy",
    "best of the others within 0.5 points of it",
    "best shift of all others",
    "**auto**",
    "its rank",
)


def summary(comparisons: list[Comparison]) -> str:
    """ID accuracy and mean over shifted splits of `auto` and of what it is measured by.

    Raises StopIteration for a comparison without `auto`.
    """
    rows = [_row(comparison.findings, _world(comparison)) for comparison in comparisons]
    return markdown_table(HEADER, rows)


def _row(findings: Findings, world: str) -> tuple[str, ...]:
    ranking = findings.ranking
    auto = next(c for c in findings.contenders if c.label == AUTO)
    others = [c for c in findings.ranked if c is not auto]
    within = [c for c in others if c.name in ranking.within]
    assert findings.zero_shot is not None  # every world's base answers its classes
    place = "out" if auto.name in ranking.outside else str(1 + ranking.within.index(auto.name))
    return (
        world,
        _pair(findings, findings.zero_shot),
        *(
            _pair(findings, c.figures)
            for label in _BESIDE
            for c in findings.contenders
            if c.label == label
        ),
        _named(findings, findings.contender(ranking.best_id)),
        _named(findings, within[0]) if within else "none",
        _named(findings, max(others, key=lambda c: _shift(findings, c.figures))),
        f"**{_pair(findings, auto.figures)}**",
        place,
    )


def _world(comparison: Comparison) -> str:
    return comparison.provenance.title.partition(":")[0]


def _named(findings: Findings, contender: Contender) -> str:
    return f"{contender.label} {_pair(findings, contender.figures)}".replace("_", "\\_")


def _pair(findings: Findings, figures: Figures) -> str:
    id_accuracy = findings.accuracy(figures, "id").mean
    return f"{percent(id_accuracy)} / {percent(_shift(findings, figures))}"


def _shift(findings: Findings, figures: Figures) -> float:
    return findings.accuracy(figures, "shifted").mean
