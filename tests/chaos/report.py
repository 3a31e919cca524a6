"""What a run found, as the document that docs/durability.md is rendered from."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from benchmarks.machine import load, machine
from cli.provenance import commit
from core.records.engine import Database
from core.records.tables import Job
from tests.chaos.checks import Check
from tests.chaos.run import Run, counts


def document(
    run: Run, jobs: dict[str, Any], checks: list[Check], options: argparse.Namespace
) -> dict[str, Any]:
    """Faults by kind and phase, jobs, every check with its result, and where and when it was."""
    return {
        "command": f"python -m tests.chaos --seed {options.seed} --faults {options.faults} "
        f"--jobs {options.jobs}",
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "load": load(),
        "seed": options.seed,
        "seconds": round(run.seconds_of_faults),
        "planned": options.faults,
        "parts": run.parts,
        "left_out": list(run.left_out),
        "faults": counts(run.struck),
        "jobs": jobs,
        "checks": [asdict(check) for check in checks],
        "struck": [asdict(one) for one in run.struck],
    }


def jobs_summary(database: Database) -> dict[str, Any]:
    """How many, how they ended, how often they were attempted."""
    with database.read() as session:
        rows = list(session.execute(select(Job)).scalars())
    return {
        "count": len(rows),
        "by_status": dict(sorted(Counter(row.status for row in rows).items())),
        "by_method": dict(sorted(Counter(row.method for row in rows).items())),
        "attempts": sum(row.attempt for row in rows),
        "most_attempts": max((row.attempt for row in rows), default=0),
        "failures": sum(row.failures for row in rows),
    }
