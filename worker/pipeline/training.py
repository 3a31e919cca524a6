"""A training job from first pixel to published weights, once per seed."""

from __future__ import annotations

import csv
from collections.abc import Callable

from torch import Tensor

from core.jobs.messages import Metrics
from core.jobs.protocol import ZERO_SHOT
from core.learning.class_balance import FEW_IMAGES, class_weights, small_classes
from core.learning.combine.wise_ft import interpolate
from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.models import Clip, Head, load_directory, load_head, pick_device
from core.learning.pixels import AugmentedBatches
from core.learning.random_text import DrawnTexts
from core.learning.states import head_for, put_tensors, tensors_of
from core.learning.student import HEAD
from core.learning.trainer import StepReport, TrainedState, Trainer, TrainingRun
from core.learning.zero_shot import build_head
from worker.pipeline.data import JobData, load_data, training_pixels
from worker.pipeline.export import Export, export_checkpoints, export_model, write_results
from worker.pipeline.scoring import Scoreboard, open_scoreboard
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
    data = load_data(workspace)
    _warn_of_small_classes(workspace, data)
    theta0_directory = workspace.model_directory(spec.theta0)
    clip = load_directory(theta0_directory).to(pick_device(workspace.settings.device))
    n_scored = len(spec.seeds) * (1 + len(spec.alphas))
    board = open_scoreboard(workspace, data, clip, expected=n_scored)

    head0 = starting_head(clip, data, load_head(theta0_directory))
    zero_shot = board.zero_shot_features(clip)
    board.score_model(ZERO_SHOT, spec.seeds[0], zero_shot, head0, phase="zero_shot")
    theta0 = tensors_of(clip, head0)
    log = _MetricsLog(workspace, len(spec.seeds), int(method.hyperparameters.n_steps))
    for number, seed in enumerate(spec.seeds):
        put_tensors(clip, theta0)
        run = _train(workspace, data, board, clip, head0, method, seed, log.of_seed(number, seed))
        _announce_choice(workspace, data, run, seed)
        before, after = _ends_of_the_line(theta0, run.best)
        towers = board.features_with(clip)
        for alpha in sorted(spec.alphas):
            mixed = interpolate(before, after, alpha)
            put_tensors(clip, mixed)
            head = head_for(clip, mixed, run.best.head)
            board.score_model(f"wise_ft@{alpha:g}", seed, towers, head)
        put_tensors(clip, after)
        board.score_model("fine_tuned", seed, towers, run.best.head)
        workspace.reporter.within("exporting", number / len(spec.seeds))
        export = Export(clip, run.best.head, data, board, "fine_tuned", seed, number, run.best)
        export_checkpoints(workspace, export, export_model(workspace, export), run.last)
    log.write(workspace)
    write_results(workspace, board, "fine_tuned")


def starting_head(clip: Clip, data: JobData, own: Head | None) -> Head:
    """Theta0's own head where it has one for exactly these classes, else the zero-shot head."""
    if own is not None and own.class_keys == data.class_keys:
        return own
    weight = build_head(clip, data.classes, data.templates)
    subsets = {split.name: split.subset for split in data.scored if split.subset is not None}
    return Head(weight, clip.scale, data.classes, data.class_keys, data.templates, subsets)


def _ends_of_the_line(
    theta0: dict[str, Tensor], fine_tuned: TrainedState
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both models' tensors under the same names: a head only where it trained by itself."""
    before = {k: v for k, v in theta0.items() if k != HEAD or not fine_tuned.head.from_text}
    after = {**before, **fine_tuned.weights}
    if HEAD in before:
        after[HEAD] = fine_tuned.head.weight
    return before, after


def _train(
    workspace: Workspace,
    data: JobData,
    board: Scoreboard,
    clip: Clip,
    head0: Head,
    method: TrainingMethod,
    seed: int,
    on_reports: Callable[[list[StepReport]], None],
) -> TrainingRun:
    recipe = method.hyperparameters
    assert data.train is not None  # a training job was refused without one
    batches = AugmentedBatches(
        training_pixels(workspace, data.train),
        clip.preprocess_config,
        seed=seed,
        batch_size=int(recipe.batch_size),
        crop_scale_min=recipe.crop_scale_min,
        flip_probability=recipe.flip_probability,
        balanced=recipe.class_balance == "sampling",
    )
    texts = DrawnTexts(clip.text, seed) if method.needs_random_texts else None
    weights = None
    if recipe.class_balance == "loss":
        weights = class_weights(data.train.labels, len(data.classes))
    trainer = Trainer(clip, head0, method, batches, texts, seed=seed, class_weights=weights)
    try:
        return trainer.run(
            on_reports=on_reports, validate=lambda head: board.selection_accuracy(clip, head)
        )
    finally:
        batches.close()


def _warn_of_small_classes(workspace: Workspace, data: JobData) -> None:
    labels = [] if data.train is None else data.train.labels
    few = [data.class_keys[column] for column in small_classes(labels, len(data.classes))]
    if few:
        workspace.reporter.warn(
            f"{len(few)} classes have fewer than {FEW_IMAGES} training images, among them "
            f"{', '.join(few[:5])}; what is learnt of them is mostly chance",
            classes=few,
        )


def _announce_choice(workspace: Workspace, data: JobData, run: TrainingRun, seed: int) -> None:
    curve = [{"step": step, "accuracy": accuracy} for step, accuracy in run.validations]
    splits = [split.name for split in data.selecting]
    marked = " (marked for selection: their figures are optimistic)" if len(splits) > 1 else ""
    workspace.reporter.event(
        f"seed {seed}: step {run.best.step} is kept, the best on {' and '.join(splits)}{marked}, "
        f"{100 * (run.best.validation_accuracy or 0.0):.2f} %",
        seed=seed,
        step=run.best.step,
        splits=splits,
        validations=curve,
    )


class _MetricsLog:
    """Step metrics on their way to the supervisor and into `metrics.csv`."""

    def __init__(self, workspace: Workspace, n_seeds: int, total_steps: int) -> None:
        self._workspace = workspace
        self._n_seeds = n_seeds
        self._total_steps = total_steps
        self._rows: list[tuple[int, int, dict[str, float]]] = []

    def of_seed(self, number: int, seed: int) -> Callable[[list[StepReport]], None]:
        def on_reports(reports: list[StepReport]) -> None:
            reporter = self._workspace.reporter
            for report in reports:
                self._rows.append((seed, report.step, report.values))
                reporter.send(Metrics(seed=seed, step=report.step, values=report.values))
            step = reports[-1].step + 1
            done = (number + step / self._total_steps) / self._n_seeds
            reporter.within("training", done, step, self._total_steps)

        return on_reports

    def write(self, workspace: Workspace) -> None:
        path = workspace.directory / "metrics.csv"
        names = list(dict.fromkeys(name for _, _, values in self._rows for name in values))
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["seed", "step", *names])
            for seed, step, values in self._rows:
                writer.writerow([seed, step, *(values.get(name, "") for name in names)])
        workspace.store_artifact("metrics.csv", path)
