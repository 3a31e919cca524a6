"""A job of `auto`: several models trained, the lines between them and zero-shot searched on ID
validation images, one point kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from torch import Tensor

from core.learning.combine.soup import uniform
from core.learning.combine.wise_ft import interpolate
from core.learning.merging import State
from core.learning.methods.auto import ALPHAS, Auto, Point
from core.learning.models import Head
from core.learning.robustness import feature_distortion
from core.learning.states import head_for, put_tensors
from core.learning.trainer import TrainedState
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.export import Export, accuracy_name, export_model, write_results
from worker.pipeline.plan import planned_runs
from worker.pipeline.runs import Runs
from worker.pipeline.scoring import FeaturesOf
from worker.pipeline.step_metrics import MetricsLog
from worker.pipeline.workspace import Workspace


def run_choice(workspace: Workspace) -> None:
    """For every seed of the job train, choose, score and store.

    Raises what `worker.pipeline.training.run_training` does.
    """
    spec = workspace.spec
    method = Auto(spec.hyperparameters)
    planned = planned_runs(spec)
    runs = Runs.open(workspace)
    log = MetricsLog(workspace, planned, runs.clip.device)
    with Checkpoints(workspace) as checkpoints:
        for number, seed in enumerate(spec.seeds):
            members = [run for run in planned if run.seed_number == number]
            ends = [runs.train(run, checkpoints, log.of(run)).best for run in members]
            _choose(runs, method, ends, seed, number)
    log.write()
    write_results(workspace, runs.board, "fine_tuned")


def _choose(runs: Runs, method: Auto, ends: Sequence[TrainedState], seed: int, number: int) -> None:
    """Keep a point of the lines to these ends, scored and stored; `number` is the seed's."""
    lines = [runs.ends_of_the_line(end) for end in ends]
    before, like = lines[0][0], ends[0].head
    targets = {f"member {place}": after for place, (_, after) in enumerate(lines, start=1)}
    if len(targets) > 1:
        targets["mean"] = uniform(list(targets.values()))
    points = list(_points(runs, before, targets, like))
    chosen = method.choose(points)
    _announce(runs, points, chosen, seed)
    kept = interpolate(before, targets[chosen.line], chosen.alpha)
    put_tensors(runs.clip, kept)
    head = head_for(runs.clip, kept, like)
    runs.score_line(before, kept, head, seed)
    workspace = runs.workspace
    workspace.reporter.within("exporting", number / len(workspace.spec.seeds))
    metrics = {accuracy_name(runs.data): chosen.accuracy, "alpha": chosen.alpha}
    export = Export(
        runs.clip, head, runs.data, runs.board, "fine_tuned", seed, number, metrics=metrics
    )
    export_model(workspace, export)


def _points(runs: Runs, before: State, targets: dict[str, State], like: Head) -> Iterator[Point]:
    """Every point of every line, from the splits that choose; zero-shot itself only once."""
    zero_shot = runs.zero_shot(runs.data.validation)
    for name, after in targets.items():
        for alpha in ALPHAS:
            if alpha == 0 and name != next(iter(targets)):
                continue
            mixed = interpolate(before, after, alpha)
            put_tensors(runs.clip, mixed)
            head = head_for(runs.clip, mixed, like)
            towers = runs.board.features_with(runs.clip)
            features = {split.name: towers(split) for split in runs.data.selecting}
            yield Point(
                line=name,
                alpha=alpha,
                accuracy=runs.board.selection_accuracy(_found_in(features), head),
                distortion=feature_distortion(features["val"], zero_shot).value,
            )


def _found_in(features: dict[str, Tensor]) -> FeaturesOf:
    return lambda split: features[split.name]


def _announce(runs: Runs, points: list[Point], chosen: Point, seed: int) -> None:
    best = max(points, key=lambda point: point.accuracy)
    runs.workspace.reporter.event(
        f"seed {seed}: alpha {chosen.alpha:g} towards {chosen.line} is kept, "
        f"{100 * chosen.accuracy:.2f} % on "
        f"{' and '.join(split.name for split in runs.data.selecting)}; the best of "
        f"{len(points)} points has {100 * best.accuracy:.2f} % (alpha {best.alpha:g} towards "
        f"{best.line})",
        seed=seed,
        chosen=asdict(chosen),
        points=[asdict(point) for point in points],
    )
