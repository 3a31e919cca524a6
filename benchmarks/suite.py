"""Benchmarks that are run together: their sizes, the command line, the table and the record."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.machine import load, machine
from cli.provenance import changed_files, commit
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
    """What was asked for on the command line: measured, shown, and recorded where it is to be.

    The record is written after every part; parts that the same commit recorded on the same machine
    before are not measured again. So it can be made in several runs, and is whole after the last.
    Nothing is recorded of code that no commit has.
    """
    options = _parse(title, parts)
    changed = changed_files() if options.record is not None else []
    if changed:
        raise SystemExit(
            f"{', '.join(changed)} differ from the commit that the record would name; commit them "
            "first, or leave --record out."
        )
    console = wide_console()
    document = _begun(
        options.record, {"command": command, "commit": commit(), "machine": machine()}
    )
    found = document["parts"]
    for name in options.only:
        if name not in found:
            found[name] = _measured(parts[name], small=options.small)
            console.print(f"{name}: {found[name]['part_seconds']} s")
            document["date"] = datetime.now(UTC).date().isoformat()
            document["load"]["after"] = load()
            document["seconds"] = sum(part["part_seconds"] for part in found.values())
            if options.record is not None:
                _write(options.record, document)
    console.print(_table(figures(found)))


def _begun(record: Path | None, of: Mapping[str, Any]) -> dict[str, Any]:
    """What that record has already, if it is of this commit and machine; else one without parts."""
    with suppress(FileNotFoundError):
        if record is not None:
            document: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
            if of.items() <= document.items():
                return document
    return {**of, "load": {"before": load()}, "parts": {}}


def _write(record: Path, document: Mapping[str, Any]) -> None:
    part = record.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(record)


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
    if options.record and options.small:
        parser.error("--record is for what the benchmark measures: leave --small out")
    return options
