"""The trainer process: a job specification in, objects and reports out.

Started by the supervisor as `python -m worker.run`, one process group per attempt, or earlier, to
wait for its attempt (`worker.waiting`). It knows no database: it reads the specification and where
to go on from, writes objects under its attempt's prefix and reports on a pipe. Its last word is
`finished`, `failed`, or `stopped` after a SIGTERM; a process that ends without one was killed.
"""

from __future__ import annotations

import argparse
import errno
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel

from core import logging
from core.disk_cache import trim
from core.ending import end_process
from core.errors import InvalidDataset, InvalidRequest, StorageFault
from core.jobs.messages import PEAK_MEMORY, Failed, Finished, Stopped
from core.jobs.spec import JobSpec
from core.objects import ObjectStore
from core.settings import GIB, load_settings
from worker.handover import read_checkpoints
from worker.parent_death import die_with_parent
from worker.pipeline.reports import Reporter, SupervisorGone
from worker.pipeline.workspace import Workspace
from worker.stop_signal import StopRequested, StopSignal
from worker.waiting import handed_over

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOADED_BY_JOBS = (
    "pyarrow.dataset",  # which pyarrow imports at the first file that is read
    "worker.pipeline.choosing",
    "worker.pipeline.combining",
    "worker.pipeline.comparing",
    "worker.pipeline.evaluating",
    "worker.pipeline.keeping",
    "worker.pipeline.tracking.track",
    "worker.pipeline.training",
)


def main(arguments: list[str] | None = None) -> int:
    """0 when the job was done or stopped in order, 1 when it was reported as failed, 2 when nobody
    listens."""
    options = _parse(handed_over(sys.argv[1:] if arguments is None else arguments, load))
    die_with_parent(options.parent)
    stop = StopSignal()
    stop.install()
    reporter = Reporter(options.reports_fd, stop)
    try:
        last_word = _work(options, reporter)
        reporter.send(last_word)
    except SupervisorGone:
        return 2
    return 1 if isinstance(last_word, Failed) else 0


def _work(options: argparse.Namespace, reporter: Reporter) -> BaseModel:
    settings = load_settings()
    logging.configure(settings)  # into trainer.log
    spec = JobSpec.model_validate_json(Path(options.spec).read_text(encoding="utf-8"))
    store = ObjectStore.from_settings(settings)
    directory = Path(options.work)
    checkpoints = tuple(read_checkpoints(directory))
    workspace = Workspace(spec, options.attempt, settings, store, reporter, directory, checkpoints)
    try:
        trim(settings.cache_directory, settings.cache_bytes)
        if options.duty == "check":
            from worker.pipeline.check import check_datasets

            check_datasets(workspace)
            return Finished()
        return perform(workspace, options.duty)
    except StopRequested:
        return Stopped()
    except InvalidDataset as fault:
        return Failed(reason="invalid_dataset", message=fault.message, param=fault.param)
    except InvalidRequest as fault:
        return Failed(reason="invalid_spec", message=fault.message, param=fault.param)
    except StorageFault as fault:
        return Failed(reason="storage_error", message=fault.message)
    except SupervisorGone:
        raise
    except Exception as fault:
        _print_traceback()
        if isinstance(fault, OSError) and fault.errno in _FULL:
            return Failed(
                reason="storage_error", message=f"The worker's disk is full: {fault.strerror}."
            )
        return Failed(reason="internal", message=f"{type(fault).__name__}: {fault}")


def load() -> None:
    """Import what `perform` does, ahead of a job. No GPU is touched."""
    from core.learning.methods import registry

    registry()
    for name in _LOADED_BY_JOBS:
        import_module(name)


def perform(workspace: Workspace, duty: str = "train") -> BaseModel:
    """What a job is for, once its datasets are checked, or the keeping of its last checkpoint; its
    last word.

    Everything that needs torch is imported here: checking a dataset starts without it.
    """
    from core.learning.memory import DoesNotFit, is_out_of_memory
    from core.learning.text_tower import NoRandomTexts
    from core.learning.trainer import LossNotFinite
    from worker.pipeline.tracking.track import track

    try:
        _work_of(workspace.spec, duty)(workspace)
    except LossNotFinite as fault:
        return Failed(reason="loss_not_finite", message=str(fault))
    except NoRandomTexts as fault:
        return Failed(reason="invalid_spec", message=str(fault), param="method")
    except RuntimeError as fault:
        if not isinstance(fault, DoesNotFit) and not is_out_of_memory(fault):
            raise
        _print_traceback()
        return Failed(reason="out_of_memory", message=_too_little_memory(fault))
    track(workspace)
    _tell_memory(workspace.reporter)
    return Finished()


def _print_traceback() -> None:
    """Into trainer.log, which the supervisor quotes. Where its disk is full there is none: what the
    trainer has to say must be heard all the same."""
    with suppress(OSError):
        traceback.print_exc()


def _too_little_memory(fault: RuntimeError) -> str:
    from core.learning.memory import ADVICE, DoesNotFit

    at_once = ", even for one image at a time" if isinstance(fault, DoesNotFit) else ""
    return (
        f"Memory does not suffice{at_once}, beside the model, its gradients and what optimiser and "
        f"method keep ({str(fault).splitlines()[0]}). {ADVICE}"
    )


def _work_of(spec: JobSpec, duty: str) -> Callable[[Workspace], None]:
    from core.learning.methods import registry
    from core.learning.methods.auto import Auto
    from worker.pipeline.choosing import run_choice
    from worker.pipeline.combining import run_combination
    from worker.pipeline.comparing import run_comparison
    from worker.pipeline.evaluating import run_evaluation
    from worker.pipeline.keeping import keep_checkpoint
    from worker.pipeline.training import run_training

    if duty == "keep":
        return keep_checkpoint
    if spec.comparison is not None:
        return run_comparison
    method = registry()[spec.method]
    if method is Auto:
        return run_choice
    duties = {
        "training": run_training,
        "combination": run_combination,
        "evaluation": run_evaluation,
    }
    return duties[method.kind]


def _tell_memory(reporter: Reporter) -> None:
    """For whoever asks what the next job like this one will take."""
    import torch

    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    peak = peak_memory()
    on_device = "" if device is None else f", {device / GIB:.2f} GiB of the device's"
    reporter.event(
        f"{PEAK_MEMORY} {peak / GIB:.2f} GiB{on_device}.",
        peak_memory_bytes=peak,
        **({} if device is None else {"peak_device_bytes": device}),
    )


def peak_memory() -> int:
    """The most bytes this process ever held in memory. Linux's own figure where there is one:
    `ru_maxrss` counts what the parent held when it forked."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worker.run", description=__doc__)
    parser.add_argument("--spec", required=True, help="path of the job specification, JSON")
    parser.add_argument("--work", required=True, help="directory of this attempt")
    parser.add_argument("--reports-fd", required=True, type=int, help="pipe to the supervisor")
    parser.add_argument("--attempt", required=True, type=int)
    parser.add_argument("--duty", required=True, choices=("check", "train", "keep"))
    parser.add_argument("--parent", required=True, type=int, help="process id of the supervisor")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    end_process(main())
