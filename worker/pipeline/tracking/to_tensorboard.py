"""A job as TensorBoard's event files, in a tar among its result files."""

from __future__ import annotations

from core.jobs.integrations import OwnedIntegration
from core.learning.packing import pack
from worker.pipeline.tracking.tracked import Tracked
from worker.pipeline.workspace import Workspace

FILE = "tensorboard.tar"


def log_to_tensorboard(workspace: Workspace, tracked: Tracked, asked: OwnedIntegration) -> str:
    """Where it is. A folder for each seed, so that TensorBoard shows them side by side. Raises
    ImportError where the worker was installed without `lipsum[tracking]`."""
    from tensorboardX import SummaryWriter

    folder = workspace.directory / "tensorboard"
    for seed in tracked.spec.seeds:
        with SummaryWriter(str(folder / f"seed-{seed}"), write_to_disk=True) as writer:
            for measured in tracked.metrics:
                if measured.seed == seed:
                    for name, value in measured.values.items():
                        writer.add_scalar(name, value, measured.step)
            for result in tracked.results:
                if result.seed == seed:
                    name = f"{result.model}/{result.split}/{result.metric}"
                    writer.add_scalar(name, result.value, 0)
            writer.add_text("parameters", _table(tracked), 0)
    target = workspace.directory / FILE
    pack(folder, target)
    workspace.store_artifact(FILE, target)
    return f"{FILE}, among the result files; unpack it and run `tensorboard --logdir .` there"


def _table(tracked: Tracked) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in tracked.parameters.items())
    return f"| parameter | value |\n|---|---|\n{rows}"
