"""A job as an offline run of Weights & Biases, in a tar among its result files.

The service needs no key of anybody's: who wants the run at W&B unpacks the tar and sends it with
`wandb sync`, as themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.jobs.integrations import OwnedIntegration
from core.learning.packing import pack
from worker.pipeline.tracking.tracked import Tracked
from worker.pipeline.workspace import Workspace

FILE = "wandb.tar"


def log_to_wandb(workspace: Workspace, tracked: Tracked, asked: OwnedIntegration) -> str:
    """Where it is. Raises ImportError where the worker was installed without
    `lipsum[tracking]`."""
    import wandb

    assert asked.wandb is not None  # its validator requires it
    options = asked.wandb
    folder = workspace.directory / "wandb-run"
    folder.mkdir(exist_ok=True)
    run: Any = wandb.init(
        project=options.project,
        name=options.name or tracked.name,
        entity=options.entity,
        tags=list(options.tags) or None,
        config=tracked.parameters,
        dir=str(folder),
        mode="offline",
        settings=_nothing_of_this_machine(wandb),
    )
    by_step: dict[int, dict[str, float]] = {}
    for measured in tracked.metrics:
        values = {tracked.of_seed(measured.seed, k): v for k, v in measured.values.items()}
        by_step.setdefault(measured.step, {}).update(values)
    for step in sorted(by_step):
        run.log(by_step[step], step=step)
    columns: list[str | int] = ["seed", "model", "split", "metric", "value"]
    rows = [[r.seed, r.model, r.split, r.metric, r.value] for r in tracked.results]
    run.log({"results": wandb.Table(columns=columns, data=rows)})
    for result in tracked.results:
        name = f"{result.model}/{result.split}/{result.metric}"
        run.summary[tracked.of_seed(result.seed, name)] = result.value
    run.finish()
    wandb.teardown()
    target = workspace.directory / FILE
    pack(_without_logs(folder / "wandb"), target)
    workspace.store_artifact(FILE, target)
    return f"{FILE}, among the result files; unpack it and run `wandb sync offline-run-*` there"


def _without_logs(folder: Path) -> Path:
    """The library's own logs speak of this machine."""
    for path in list(folder.rglob("*")):
        if path.is_symlink() or (path.is_file() and path.suffix == ".log"):
            path.unlink()
    return folder


def _nothing_of_this_machine(wandb: Any) -> Any:
    """The run is its owner's, and the worker's host, paths and packages are not."""
    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        host="lipsum",
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
