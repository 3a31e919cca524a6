"""Fill the tables of README and docs from the committed result JSON; `--check` only compares.

A page marks where a table goes:

    <!-- table: NAME -->
    ...
    <!-- end table -->

and `_TABLES` says which file and function make NAME. `make check` fails when a page differs, so
no number in these pages was ever typed by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.demo.table import HEADER, table_rows
from cli.tables import to_rows
from core.learning.report import markdown_table

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/demo.md"]
_BLOCK = re.compile(r"<!-- table: (?P<name>[\w-]+) -->\n.*?<!-- end table -->", re.S)


def main(arguments: list[str]) -> int:
    """0 when every page holds what its results say (after writing, unless `--check`)."""
    check = "--check" in arguments
    stale = []
    for page in PAGES:
        path = ROOT / page
        before = path.read_text(encoding="utf-8")
        after = _BLOCK.sub(_filled, before)
        if after == before:
            continue
        stale.append(page)
        if not check:
            path.write_text(after, encoding="utf-8")
    if check and stale:
        print(f"{', '.join(stale)}: tables differ from docs/results; run `python -m docs.render`")
        return 1
    return 0


def _filled(block: re.Match[str]) -> str:
    name = block["name"]
    file, render = _TABLES[name]
    document = json.loads((ROOT / "docs" / "results" / file).read_text(encoding="utf-8"))
    return f"<!-- table: {name} -->\n{render(document)}\n<!-- end table -->"


def _demo(document: dict[str, Any]) -> str:
    results = {method: to_rows(rows) for method, rows in document["rows"].items()}
    n_seeds = len(document["seeds"])
    seeds = "one seed" if n_seeds == 1 else f"mean ± standard deviation of {n_seeds} seeds"
    caption = (
        f"Top-1 accuracy in %, trained on `real` only, {seeds} ({document['seeds'][0]} to "
        f"{document['seeds'][-1]}). `{document['command']}`, commit {document['commit']}, "
        f"{document['date']}, {document['machine']}, {document['seconds']} s in all."
    )
    if n_seeds == 1:
        caption = caption.replace(" (0 to 0)", " (0)")
    return f"{markdown_table(HEADER, table_rows(results))}\n\n{caption}"


_TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "demo": ("demo.json", _demo),
    "demo-three-seeds": ("demo-three-seeds.json", _demo),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
