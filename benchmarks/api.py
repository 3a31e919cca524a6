"""What the API costs, measured beside what it is to be compared with; one table of it all.

    make bench-api
    python -m benchmarks.api --only create_job list_jobs
    python -m benchmarks.api --small

The whole takes about ten minutes and 20 GB of the temporary directory's disk. Other work on the
machine makes figures worse, ratios less so: what is compared is measured in turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import create_job, list_jobs, start, uploads, watchers
from benchmarks.figures import Figure, figures
from benchmarks.machine import load, machine
from cli.provenance import commit
from cli.tables import wide_console

_MET = {True: "met", False: "missed", None: ""}


@dataclass(frozen=True)
class Part:
    """One benchmark, and its sizes."""

    measure: Callable[..., dict[str, Any]]
    full: Mapping[str, Any]
    small: Mapping[str, Any]  # to see in a minute or two that it runs; the figures say nothing


PARTS = {
    "start": Part(start.measure, {"repeats": 7}, {"repeats": 1}),
    "create_job": Part(create_job.measure, {"rounds": 1000}, {"rounds": 10}),
    "watchers": Part(
        watchers.measure,
        {"watchers": 1000, "jobs": (10, 1), "events": 60},
        {"watchers": 20, "jobs": (10, 1), "events": 10},
    ),
    "uploads": Part(
        uploads.measure,
        {"repeats": {256: 4, 1024: 3, 4096: 2}},  # of each size in MiB
        {"repeats": {16: 1, 32: 1}},
    ),
    "list_jobs": Part(
        list_jobs.measure,
        {"sizes": (1_000, 100_000, 1_000_000), "rounds": 500},
        {"sizes": (200, 1_000), "rounds": 10},
    ),
}


def main() -> None:
    options = _parse()
    console = wide_console()
    before, began = load(), time.monotonic()
    parts = {}
    for name in options.only:
        parts[name] = _measured(PARTS[name], small=options.small)
        console.print(f"{name}: {parts[name]['part_seconds']} s")
    document = {
        "command": "make bench-api",
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "load": {"before": before, "after": load()},
        "seconds": round(time.monotonic() - began),
        "parts": parts,
    }
    console.print(_table(figures(parts)))
    if options.record is not None:
        options.record.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _measured(part: Part, *, small: bool) -> dict[str, Any]:
    """What the part found, and what else went on."""
    before, began = load(), time.monotonic()
    found = part.measure(**(part.small if small else part.full))
    return found | {"part_seconds": round(time.monotonic() - began), "load_before": before[0]}


def _table(lines: list[Figure]) -> Table:
    table = Table()
    table.add_column("what")
    for title in ("measured", "target", ""):
        table.add_column(title, justify="right")
    for line in lines:
        table.add_row(line.what, line.measured, line.target, _MET[line.met])
    return table


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument(
        "--small", action="store_true", help="small sizes: only to see that it runs"
    )
    parser.add_argument("--record", type=Path, help="where the results go as JSON")
    options = parser.parse_args()
    if options.record and (options.small or options.only != list(PARTS)):
        parser.error("--record is for the whole benchmark: leave --only and --small out")
    return options


if __name__ == "__main__":
    main()
