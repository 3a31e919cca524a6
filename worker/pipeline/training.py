"""A training job from first pixel to published weights, once per seed."""

from __future__ import annotations

from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.trainer import TrainingRun
from worker.pipeline.export import Export, export_checkpoints, export_model, write_results
from worker.pipeline.runs import MetricsLog, Runs
from worker.pipeline.workspace import Workspace


def run_training(workspace: Workspace) -> None:
    """Train with every seed of the job, score what came out, and store it.

    Raises `core.learning.trainer.LossNotFinite`, `core.errors.InvalidDataset` and what the
    object store raises.
    """
    spec = workspace.spec
    method_class = registry()[spec.method]
    if not issubclass(method_class, TrainingMethod):
        raise TypeError(f"{spec.method} does not train")
    method = method_class(spec.hyperparameters)
    runs = Runs.open(workspace)
    log = MetricsLog(workspace, int(method.hyperparameters.n_steps))
    for number, seed in enumerate(spec.seeds):
        run = runs.train(method, seed, log.of_seed(number, seed))
        _announce_choice(runs, run, seed)
        before, after = runs.ends_of_the_line(run.best)
        runs.score_line(before, after, run.best.head, seed)
        workspace.reporter.within("exporting", number / len(spec.seeds))
        export = Export(
            runs.clip,
            run.best.head,
            runs.data,
            runs.board,
            "fine_tuned",
            seed,
            number,
            run.best,
        )
        export_checkpoints(workspace, export, export_model(workspace, export), run.last)
    log.write()
    write_results(workspace, runs.board, "fine_tuned")


def _announce_choice(runs: Runs, run: TrainingRun, seed: int) -> None:
    curve = [{"step": step, "accuracy": accuracy} for step, accuracy in run.validations]
    splits = [split.name for split in runs.data.selecting]
    marked = " (marked for selection: their figures are optimistic)" if len(splits) > 1 else ""
    runs.workspace.reporter.event(
        f"seed {seed}: step {run.best.step} is kept, the best on {' and '.join(splits)}{marked}, "
        f"{100 * (run.best.validation_accuracy or 0.0):.2f} %",
        seed=seed,
        step=run.best.step,
        splits=splits,
        validations=curve,
    )
