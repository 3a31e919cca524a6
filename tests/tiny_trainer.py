"""A real trainer process without torch: it speaks `core.jobs.messages` and makes real objects.

What it does is told by the job's hyperparameters, so that each test orders its own trainer:
`script` is a list of steps, run in order by the attempt (the last one again for later attempts).
Steps: `work` (report a step), `sleep` (until it is killed), `spin` (report progress until it is
killed), `die` (SIGKILL itself), `exit` (code 3), `fail` (report a failure), `garbage` (write no
message), `overflow` (a number too large), `stubborn` (ignore SIGTERM, then sleep), `child` (leave a
child behind), `checkpoint` (store a state), `patient` (wait for SIGTERM, store a state, stop),
`differ` (report the step before this one again, otherwise).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import BaseModel

from core.jobs.checkpoint import StoredPart
from core.jobs.messages import (
    Artifact,
    Checkpoint,
    DatasetChecked,
    Event,
    Failed,
    Finished,
    Metrics,
    Progress,
    Speed,
    SplitResult,
    Stopped,
    StoredModel,
    encode,
)
from core.jobs.spec import JobSpec
from core.objects import ObjectStore
from core.settings import load_settings
from worker.handover import read_checkpoints
from worker.parent_death import die_with_parent
from worker.waiting import handed_over


def main() -> None:
    options = _parse()
    die_with_parent(options.parent)
    spec = JobSpec.model_validate_json(Path(options.spec).read_text())
    scripts = spec.hyperparameters.get("scripts", [["work"]])
    script = scripts[min(options.attempt, len(scripts)) - 1] if options.attempt else []
    _say(options, Event(message=f"tiny trainer {os.getpid()}", data={"pid": os.getpid()}))
    if options.duty == "check":
        for dataset in spec.datasets:
            _say(
                options,
                DatasetChecked(version=dataset.version, index_key=dataset.index_key, summary={}),
            )
        _say(options, Finished())
        return
    handed = [reference.step for reference in read_checkpoints(Path(options.work))]
    _say(options, Event(message=f"handed {handed}"))
    if options.duty == "keep":
        _keep(options, spec, handed[0])
        return
    for number, step in enumerate(script, 1):
        _do(options, spec, step, number, len(script))
    _publish(options, spec)


def _do(options: argparse.Namespace, spec: JobSpec, step: str, number: int, total: int) -> None:
    print(f"doing {step}")
    if step == "work":
        fraction = number / total
        _say(
            options,
            Progress(phase="training", step=number, total_steps=total, fraction=fraction),
        )
        _say(options, Metrics(seed=0, step=number, values={"loss": 1 / number}))
        _say(options, Speed(step_seconds=0.25, images_per_second=8.0))
    elif step == "sleep":
        time.sleep(3600)
    elif step == "spin":
        for tick in range(100_000):
            _say(options, Progress(phase="training", step=tick, fraction=0.5))
            time.sleep(0.05)
    elif step == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _say(options, Event(message="stubborn"))
        time.sleep(3600)
    elif step == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif step == "exit":
        sys.exit(3)
    elif step == "fail":
        _say(options, Failed(reason="invalid_spec", message="it was told to", param="model"))
        sys.exit(1)
    elif step == "garbage":
        os.write(options.reports_fd, b'{"type": "no message"}\n')
        time.sleep(3600)
    elif step == "overflow":
        _say(options, Progress(phase="training", step=2**80, fraction=0.5))
        time.sleep(3600)
    elif step == "checkpoint":
        _checkpoint(options, spec, number)
    elif step == "patient":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        _say(options, Event(message="patient"))
        signal.sigwait({signal.SIGTERM})
        _checkpoint(options, spec, number)
        _say(options, Stopped())
        sys.exit(0)
    elif step == "differ":
        _say(options, Metrics(seed=0, step=number - 1, values={"loss": 77.0}))
        time.sleep(3600)
    elif step == "child":
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(3600)"], pass_fds=[options.reports_fd]
        )
        _say(options, Event(message="child", data={"pid": child.pid}))
    else:
        raise ValueError(step)


def _checkpoint(options: argparse.Namespace, spec: JobSpec, step: int) -> None:
    store = ObjectStore.from_settings(load_settings())
    key = f"jobs/{spec.job_id}/attempts/{options.attempt}/checkpoints/{step}"
    stored = store.put_bytes(key, b"state")
    part = StoredPart(object_key=key, sha256=stored.sha256, size=stored.size)
    _say(options, Checkpoint(run=0, step=step, parts={"0.state": part}))


def _keep(options: argparse.Namespace, spec: JobSpec, step: int) -> None:
    store = ObjectStore.from_settings(load_settings())
    prefix = f"jobs/{spec.job_id}/attempts/{options.attempt}"
    stored = store.put_bytes(f"{prefix}/checkpoint.tar", b"weights")
    _say(
        options,
        StoredModel(
            id=f"{spec.model_id}:step-{step}",
            kind="checkpoint",
            object_key=stored.key,
            sha256=stored.sha256,
            size=stored.size,
            members={},
            seed=0,
            step=step,
        ),
    )
    _say(options, Finished())


def _publish(options: argparse.Namespace, spec: JobSpec) -> None:
    store = ObjectStore.from_settings(load_settings())
    prefix = f"jobs/{spec.job_id}/attempts/{options.attempt}"
    stored = store.put_bytes(f"{prefix}/model.tar", b"weights")
    _say(
        options,
        StoredModel(
            id=spec.model_id,
            kind="fine_tuned",
            object_key=stored.key,
            sha256=stored.sha256,
            size=stored.size,
            members={},
            seed=0,
        ),
    )
    _say(
        options,
        SplitResult(seed=0, model="fine_tuned", split="val", metric="accuracy", value=0.5, n=2),
    )
    report = store.put_bytes(f"{prefix}/report.md", b"# report")
    _say(
        options,
        Artifact(
            filename="report.md",
            object_key=report.key,
            sha256=report.sha256,
            size=report.size,
        ),
    )
    _say(options, Finished())


def _say(options: argparse.Namespace, message: BaseModel) -> None:
    os.write(options.reports_fd, encode(message))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("--spec", "--work", "--duty"):
        parser.add_argument(name, required=True)
    for name in ("--reports-fd", "--attempt", "--parent"):
        parser.add_argument(name, required=True, type=int)
    return parser.parse_args(handed_over(sys.argv[1:], load=lambda: None))


if __name__ == "__main__":
    main()
