"""A training job from first pixel to published weights, once per seed."""

from __future__ import annotations

from core.learning.trainer import TrainingRun
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.export import Export, export_checkpoints, export_model, write_results
from worker.pipeline.plan import PlannedRun, planned_runs
from worker.pipeline.runs import Runs
from worker.pipeline.step_metrics import MetricsLog, RunLog
from worker.pipeline.workspace import Workspace


def run_training(workspace: Workspace) -> None:
    """Train with every seed of the job, score what came out, and store it.

    Raises `core.learning.trainer.LossNotFinite`, `core.errors.InvalidDataset`, StopRequested and
    what the object store raises.
    """
    planned = planned_runs(workspace.spec)
    runs = Runs.open(workspace)
    log = MetricsLog(workspace, planned, runs.clip.device)
    with Checkpoints(workspace) as checkpoints, runs.companions:
        for run in planned:
            result = runs.train(run, checkpoints, log.of(run))
            _announce_choice(runs, result, run.seed)
            _keep(runs, run, result, log.of(run))
    log.write()
    write_results(workspace, runs.board, "fine_tuned")


def _keep(runs: Runs, run: PlannedRun, result: TrainingRun, log: RunLog) -> None:
    """Score the run's model beside theta0 and what lies between, and store it."""
    workspace = runs.workspace
    before, after = runs.ends_of_the_line(result.best)
    domain = runs.score_line(before, after, result.best.head, run.seed)
    workspace.reporter.within("exporting", run.seed_number / len(workspace.spec.seeds))
    export = Export(
        runs.clip,
        result.best.head,
        runs.data,
        runs.board,
        "fine_tuned",
        run.seed,
        run.seed_number,
        result.best,
        domain,
        metrics=log.made(result.best.step),
    )
    model = export_model(workspace, export)
    export_checkpoints(workspace, export, model, result.last, log.made(result.last.step))


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
