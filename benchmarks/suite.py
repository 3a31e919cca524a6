"""Benchmarks that are run together: their sizes, the command line, the table and the record."""

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

from benchmarks.figures import Figure
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


def run(
    command: str,
    title: str,
    parts: Mapping[str, Part],
    figures: Callable[[Mapping[str, Any]], list[Figure]],
) -> None:
    """What was asked for on the command line: measured, shown, and recorded where it is to be."""
    options = _parse(title, parts)
    console = wide_console()
    before, began = load(), time.monotonic()
    found = {}
    for name in options.only:
        found[name] = _measured(parts[name], small=options.small)
        console.print(f"{name}: {found[name]['part_seconds']} s")
    document = {
        "command": command,
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "load": {"before": before, "after": load()},
        "seconds": round(time.monotonic() - began),
        "parts": found,
    }
    console.print(_table(figures(found)))
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


def _parse(title: str, parts: Mapping[str, Part]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), metavar="PART")
    parser.add_argument(
        "--small", action="store_true", help="small sizes: only to see that it runs"
    )
    parser.add_argument("--record", type=Path, help="where the results go as JSON")
    options = parser.parse_args()
    if options.record and (options.small or options.only != list(parts)):
        parser.error("--record is for the whole benchmark: leave --only and --small out")
    return options
