"""Fill the tables of README and docs from the committed result JSON, draw the plots beside it and
list the faults that the source raises; `--check` only compares.

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
from functools import partial
from pathlib import Path
from typing import Any

from api.reference import faults
from benchmarks import inference_figures, job_figures
from cli.demo.table import HEADER, table_rows
from cli.tables import to_rows
from core.learning.comparison.document import Comparison, from_json
from core.learning.comparison.markdown import accuracy_markdown, change_markdown
from core.learning.report import markdown_table
from docs import (
    auto_tables,
    durability_tables,
    inference_tables,
    job_tables,
    performance_tables,
)
from docs.faults import faults_document
from docs.plots import stale_plots

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PAGES = [
    "README.md",
    "docs/demo.md",
    "docs/durability.md",
    "docs/performance.md",
    "docs/results.md",
]
UNSEEN = "plankton"  # by `auto`, when it was frozen
WORLDS = (UNSEEN, "demo", "places", "signs")
TWO_CORES = "compare-demo-two-cores"  # the demo again, as a laptop does it
COMPARISONS = [f"compare-{world}" for world in WORLDS]  # with plots drawn beside them
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
    if faults.FILE.read_text(encoding="utf-8") != faults_document():
        stale.append(str(faults.FILE.relative_to(ROOT)))
        if not check:
            faults.FILE.write_text(faults_document(), encoding="utf-8")
    for world in WORLDS:
        stale += stale_plots(_comparison(world), RESULTS, f"compare-{world}", write=not check)
    if check and stale:
        names = ", ".join(stale)
        print(f"{names}: not what docs/results or the source says; run `python -m docs.render`")
        return 1
    return 0


def _filled(block: re.Match[str]) -> str:
    name = block["name"]
    if name in _SUMMARIES:
        table = auto_tables.summary([_comparison(world) for world in _SUMMARIES[name]])
    else:
        file, render = _TABLES[name]
        table = render((RESULTS / file).read_text(encoding="utf-8"))
    return f"<!-- table: {name} -->\n{table}\n<!-- end table -->"


def _comparison(world: str) -> Comparison:
    return from_json((RESULTS / f"compare-{world}.json").read_text(encoding="utf-8"))


def _accuracy(text: str) -> str:
    return accuracy_markdown(from_json(text))


def _changes(text: str) -> str:
    return change_markdown(from_json(text))


def _demo(text: str) -> str:
    document: dict[str, Any] = json.loads(text)
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


_TABLES: dict[str, tuple[str, Callable[[str], str]]] = {
    **{name: (f"{name}.json", _accuracy) for name in (*COMPARISONS, TWO_CORES)},
    **{f"{name}-changes": (f"{name}.json", _changes) for name in COMPARISONS},
    "demo": ("demo.json", _demo),
    "demo-three-seeds": ("demo-three-seeds.json", _demo),
    "api": ("api.json", performance_tables.targets),
    "create-job": ("api.json", performance_tables.create_job),
    "list-jobs": ("api.json", performance_tables.list_jobs),
    "uploads": ("api.json", performance_tables.uploads),
    "watchers": ("api.json", performance_tables.watchers),
    "chaos-checks": ("chaos.json", durability_tables.checks),
    "chaos-faults": ("chaos.json", durability_tables.faults),
    "inference": (
        "inference.json",
        partial(performance_tables.targets, lines=inference_figures.figures),
    ),
    "inference-throughput": ("inference.json", inference_tables.throughput),
    "inference-open": ("inference.json", inference_tables.open_loop),
    "inference-sweep": ("inference.json", inference_tables.sweep),
    "jobs": ("jobs.json", partial(performance_tables.targets, lines=job_figures.figures)),
    "first-step": ("jobs.json", job_tables.first_step),
    "overhead": ("jobs.json", job_tables.overhead),
    "claims": ("jobs.json", job_tables.claims),
    "sweeps": ("jobs.json", job_tables.sweeps),
    "checkpoints": ("checkpoints.json", performance_tables.checkpoints),
}

_SUMMARIES = {"auto-unseen": (UNSEEN,), "auto-made-on": WORLDS[1:]}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
