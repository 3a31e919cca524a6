"""`lipsum methods`."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from core.learning.methods import described, registry


def show_methods(*, as_json: bool) -> None:
    """Every method of the registry, as a table or as JSON with its hyperparameters' schema."""
    if as_json:
        print(json.dumps(described(), indent=2))
        return
    table = Table("method", "kind", "when to take it", "source")
    for method in registry().values():
        table.add_row(method.name, method.kind, method.description, method.citation)
    Console(highlight=False).print(table)
