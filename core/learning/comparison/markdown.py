"""The main tables of a comparison in Markdown, for pages that are rendered from committed JSON."""

from __future__ import annotations

import re

from core.learning.comparison.document import Comparison
from core.learning.comparison.tables import Table, change_table, main_table
from core.learning.comparison.wording import marked, members_of, points
from core.learning.report import markdown_table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&])")


def accuracy_markdown(comparison: Comparison) -> str:
    """Accuracy of every contender, best first; below it the verdict and where it comes from."""
    findings, provenance = comparison.findings, comparison.provenance
    averages = [
        f"{marked(average.name, average.selection)}: equal weight on {members_of(average)}."
        for average in findings.averages
    ]
    notes = [
        f"Top-1 accuracy in %, mean ± standard deviation over seeds; out: more than "
        f"{100 * comparison.constants.id_tolerance:g} points below the best ID accuracy.",
        *averages,
        f"{provenance.base}, {provenance.origin}.",
    ]
    verdict = comparison.verdict
    sentences = [verdict.headline, *verdict.details, verdict.caveat]
    return "\n\n".join(
        [_markdown(main_table(comparison)), _plain(" ".join(notes)), _plain(" ".join(sentences))]
    )


def change_markdown(comparison: Comparison) -> str:
    """Gains and losses against zero-shot, split by split; the worst loss of each in words."""
    findings = comparison.findings
    kinds = {split.name: split.kind for split in findings.splits}
    losses = []
    for contender in findings.ranked:
        changes = [c for c in contender.changes if kinds[c.split] == "shifted"]
        worse = [change for change in changes if change.difference < 0]
        if worse:
            worst = min(worse, key=lambda change: change.difference)
            losses.append(
                f"{contender.label} on {len(worse)} of {len(changes)}, worst on {worst.split} "
                f"({points(worst.difference)})"
            )
    summary = f"Worse than zero-shot on shifted splits: {'; '.join(losses) or 'none'}."
    how = (
        "Points of accuracy against zero-shot; in brackets the seeds in which McNemar's exact test "
        f"is significant (p under {comparison.constants.significance}, Holm-corrected over splits)."
    )
    return "\n\n".join([_markdown(change_table(findings)), _plain(f"{how} {summary}")])


def _markdown(table: Table) -> str:
    rows = [[_plain(cell) for cell in row] for row in table.rows]
    if table.taken is not None:
        rows[table.taken][0] = f"**{rows[table.taken][0]}**"
    return markdown_table([_plain(cell) for cell in table.header], rows)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names come from users."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
