"""The trainer process, which also writes down when it came to what.

    python -m benchmarks.traced_trainer ARGUMENTS OF worker.run

The moments go to a file of the job's name in the folder that `TRACES` names, once the first step is
done: epoch seconds by name, in the order of MOMENTS.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker import run

FOLDER = "TRACES"  # of the environment
MOMENTS = (
    "begun",  # the process knows its job
    "imported",  # torch, open_clip and the pipeline
    "data",  # which images the splits hold
    "model",  # its weights are in memory
    "head",  # the zero-shot head is built
    "pixels",  # the splits' images are at hand
    "scored",  # theta0 on every split
    "made",  # the run before its first step
    "stepped",  # the first step is done
)

_moments: dict[str, float] = {}


def main() -> int:
    """The exit status of `worker.run.main`."""
    run.JobSpec.model_validate_json = _traced_spec()  # type: ignore[method-assign]
    find_duty = run._work_of
    run._work_of = lambda spec, duty: _traced_duty(find_duty(spec, duty))
    return run.main()


def _traced_spec() -> Callable[..., Any]:
    read = run.JobSpec.model_validate_json

    def noting(text: str) -> Any:
        _note("begun")
        return read(text)

    return noting


def _traced_duty(duty: Callable[[Any], None]) -> Callable[[Any], None]:
    """The duty, with what it calls noting its end. Everything it needs is imported by now."""
    from core.learning.trainer import Trainer
    from worker.pipeline import beginnings, runs

    _note("imported")
    for module, name, moment in (
        (beginnings, "load_data", "data"),
        (beginnings, "load_directory", "model"),
        (beginnings, "starting_head", "head"),
        (runs, "open_scoreboard", "pixels"),
    ):
        setattr(module, name, _noting(getattr(module, name), moment))
    runs.Runs.open = classmethod(_noting(runs.Runs.open.__func__, "scored"))  # type: ignore
    Trainer.__init__ = _noting(Trainer.__init__, "made")  # type: ignore[method-assign]
    Trainer.train_step = _noting(Trainer.train_step, "stepped")  # type: ignore[method-assign]

    def traced(workspace: Any) -> None:
        path = Path(os.environ[FOLDER]) / workspace.spec.job_id
        _at_first_step.append(path)
        duty(workspace)

    return traced


_at_first_step: list[Path] = []


def _noting(function: Callable[..., Any], moment: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def noting(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        _note(moment)
        return found

    return noting


def _note(moment: str) -> None:
    if moment in _moments:
        return
    _moments[moment] = time.time()
    if moment == MOMENTS[-1]:
        path = _at_first_step[0]
        part = path.with_suffix(".part")
        part.write_text(json.dumps(_moments))
        part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
