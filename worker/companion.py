"""A trainer's companion: a process that takes its share of every step of a job's runs.

Started by the trainer as `python -m worker.companion`, in its process group. It reports nothing
and stores nothing, does what `worker.pipeline.following` says, and is done at the end of its input.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from core import logging
from core.ending import end_process
from core.jobs.spec import JobSpec
from core.objects import ObjectStore
from core.settings import load_settings
from worker.parent_death import die_with_parent
from worker.pipeline.reports import SilentReporter
from worker.pipeline.workspace import Workspace


def main(arguments: list[str] | None = None) -> int:
    """0 at the end of its input, `companions.OUT_OF_MEMORY` when memory did not suffice."""
    options = _parse(arguments)
    die_with_parent(options.parent)
    # Stopping is for the whole group, and the trainer's to do: it keeps the state first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = load_settings()
    logging.configure(settings)
    spec = JobSpec.model_validate_json(Path(options.spec).read_text(encoding="utf-8"))
    store, directory = ObjectStore.from_settings(settings), Path(options.work)
    workspace = Workspace(spec, options.attempt, settings, store, SilentReporter(), directory)

    from worker.pipeline.following import follow  # loads torch, which takes seconds

    return follow(workspace, options.rank, options.count, sys.stdin)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worker.companion", description=__doc__)
    parser.add_argument("--spec", required=True, help="path of the job specification, JSON")
    parser.add_argument("--work", required=True, help="directory of the trainer's attempt")
    parser.add_argument("--attempt", required=True, type=int)
    parser.add_argument("--rank", required=True, type=int, help="which of the processes, from 1")
    parser.add_argument("--count", required=True, type=int, help="how many there are")
    parser.add_argument("--parent", required=True, type=int, help="process id of the trainer")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    end_process(main())
