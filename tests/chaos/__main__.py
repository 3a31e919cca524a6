"""Runs jobs and strikes them.

    python -m tests.chaos --seed 0 --faults 200 --jobs 36 --record docs/results/chaos.json
    python -m tests.chaos --resume DIR      # goes on with an interrupted run

It prints a line for each fault, then what was checked. The exit status is 0 when every promise was
kept. A run that is interrupted (Ctrl-C) keeps its folder and its disks, and says how to go on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.chaos.calm import calm_outcomes
from tests.chaos.checks import Check, Settled, check_when_stopped, check_while_it_runs
from tests.chaos.report import document, jobs_summary
from tests.chaos.run import Run
from tests.chaos.specs import SPECS, Spec
from tests.chaos.stack import Stack

OPTIONS = ("seed", "faults", "jobs", "minutes")


def main(arguments: list[str] | None = None) -> int:
    """0 when every check held."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = options.resume or Path(tempfile.mkdtemp(prefix="lipsum-chaos-"))
    asked = folder / "options.json"
    if options.resume is not None:
        vars(options).update(json.loads(asked.read_text()))
    asked.write_text(json.dumps({name: getattr(options, name) for name in OPTIONS}))
    try:
        found = torment(
            folder,
            seed=options.seed,
            faults=options.faults,
            jobs=options.jobs,
            minutes=options.minutes,
        )
    except KeyboardInterrupt:
        print(f"Interrupted. Go on with: python -m tests.chaos --resume {folder}")
        return 130
    for check in found.checks:
        print(f"{'ok    ' if not check.broken else 'BROKEN'} {check.name} ({check.checked})")
        for line in check.broken[:20]:
            print(f"         {line}")
    if options.record is not None:
        text = json.dumps(document(found.run, found.jobs, found.checks, options), indent=1)
        options.record.write_text(text + "\n", encoding="utf-8")
    if found.kept and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"Logs are in {folder / 'logs'}")
    return 0 if found.kept else 1


@dataclass(frozen=True)
class Found:
    """What a run came to."""

    run: Run
    jobs: dict[str, Any]
    checks: list[Check]
    ended: bool  # whether every job did

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return self.ended and not any(check.broken for check in self.checks)


def torment(
    folder: Path,
    *,
    seed: int,
    faults: int,
    jobs: int,
    minutes: float,
    enough: int | None = None,
    specs: Sequence[Spec] = SPECS,
) -> Found:
    """A calm run, a run with faults, the checks. Ends all that it started, whatever happens.
    `enough` of the schedule's faults end the run before its time, all of them if not given."""

    def say(line: str) -> None:
        print(line, flush=True)

    stack = Stack(folder)
    finished = False
    try:
        say(f"the calm run, of {len(specs)} specifications")
        calm = calm_outcomes(folder, specs)
        run = Run(stack, folder, specs, seed=seed, faults=faults, jobs=jobs, say=say)
        stack.start(run.on_request)
        try:
            ended = run.go(minutes, faults if enough is None else enough)
        finally:
            run.stop()
        settled = Settled(stack, run.users, calm)
        checks = check_while_it_runs(settled)
        summary = jobs_summary(stack.database)
        stack.stop_service()
        checks += check_when_stopped(settled)
        finished = True
        return Found(run, summary, checks, ended)
    finally:
        stack.stop(keep_disks=not finished)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the schedule")
    parser.add_argument("--faults", type=int, default=200, help="how many")
    parser.add_argument("--jobs", type=int, default=36, help="at least so many")
    parser.add_argument("--minutes", type=float, default=60, help="after which nothing strikes")
    parser.add_argument("--resume", type=Path, help="folder of an interrupted run")
    parser.add_argument("--record", type=Path, help="where the report goes as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
