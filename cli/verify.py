"""`lipsum verify`: the largest error of each quantity, and whether all are within limits."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.learning.verify import NotReferenceFile, verify


def run_verify(path: Path) -> int:
    """0 when every quantity is within its limit, 1 when one is not, 2 for another file."""
    console = Console(highlight=False)
    try:
        comparisons = verify(path)
    except NotReferenceFile as fault:
        console.print(f"[red]{fault}[/red]")
        return 2
    table = Table("quantity", "largest error", "limit", "where", "")
    for found in comparisons:
        verdict = "[green]ok[/green]" if found.ok else "[red]too large[/red]"
        table.add_row(
            found.quantity, f"{found.error:.3g}", f"{found.limit:g}", found.where, verdict
        )
    console.print(table)
    return 0 if all(found.ok for found in comparisons) else 1
