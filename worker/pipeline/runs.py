"""What every job that trains shares: theta0 scored, runs of a method, step metrics on their way."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core.jobs.messages import Metrics
from core.jobs.protocol import ZERO_SHOT
from core.learning.class_balance import FEW_IMAGES, class_weights, small_classes
from core.learning.combine.wise_ft import interpolate
from core.learning.merging import State
from core.learning.methods.base import TrainingMethod
from core.learning.models import Clip, Head, load_directory, load_head, pick_device
from core.learning.pixels import AugmentedBatches
from core.learning.random_text import DrawnTexts
from core.learning.states import head_for, put_tensors, tensors_of
from core.learning.student import HEAD
from core.learning.trainer import StepReport, TrainedState, Trainer, TrainingRun
from core.learning.zero_shot import build_head
from worker.pipeline.data import JobData, load_data, training_pixels
from worker.pipeline.scoring import FeaturesOf, Scoreboard, open_scoreboard
from worker.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Runs:
    """A job's model, images and scores, theta0 scored already. Make one with `Runs.open`."""

    workspace: Workspace
    data: JobData
    clip: Clip
    board: Scoreboard
    head0: Head
    theta0: dict[str, Tensor]
    zero_shot: FeaturesOf  # whatever the model holds now

    @classmethod
    def open(cls, workspace: Workspace) -> Runs:
        """Raises `core.errors.InvalidDataset` and what the object store raises."""
        spec = workspace.spec
        data = load_data(workspace)
        _warn_of_small_classes(workspace, data)
        directory = workspace.model_directory(spec.theta0)
        clip = load_directory(directory).to(pick_device(workspace.settings.device))
        expected = len(spec.seeds) * (1 + len(spec.alphas))
        board = open_scoreboard(workspace, data, clip, expected=expected)
        head0 = starting_head(clip, data, load_head(directory))
        zero_shot = board.zero_shot_features(clip)
        board.score_model(ZERO_SHOT, spec.seeds[0], zero_shot, head0, phase="zero_shot")
        return cls(workspace, data, clip, board, head0, tensors_of(clip, head0), zero_shot)

    def train(
        self, method: TrainingMethod, seed: int, on_reports: Callable[[list[StepReport]], None]
    ) -> TrainingRun:
        """One run from theta0. The model then holds its last step's weights.

        Raises `core.learning.trainer.LossNotFinite`.
        """
        put_tensors(self.clip, self.theta0)
        recipe = method.hyperparameters
        assert self.data.train is not None  # a training job was refused without one
        batches = AugmentedBatches(
            training_pixels(self.workspace, self.data.train),
            self.clip.preprocess_config,
            seed=seed,
            batch_size=int(recipe.batch_size),
            crop_scale_min=recipe.crop_scale_min,
            flip_probability=recipe.flip_probability,
            balanced=recipe.class_balance == "sampling",
        )
        texts = DrawnTexts(self.clip.text, seed) if method.needs_random_texts else None
        weights = None
        if recipe.class_balance == "loss":
            weights = class_weights(self.data.train.labels, len(self.data.classes))
        trainer = Trainer(
            self.clip, self.head0, method, batches, texts, seed=seed, class_weights=weights
        )
        try:
            return trainer.run(on_reports=on_reports, validate=self.selection_accuracy)
        finally:
            batches.close()

    def ends_of_the_line(self, fine_tuned: TrainedState) -> tuple[State, State]:
        """Theta0's and the run's tensors under the same names: a head only where it trained by
        itself."""
        before = {
            k: v for k, v in self.theta0.items() if k != HEAD or not fine_tuned.head.from_text
        }
        after = {**before, **fine_tuned.weights}
        if HEAD in before:
            after[HEAD] = fine_tuned.head.weight
        return before, after

    def selection_accuracy(self, head: Head) -> float:
        """Of the weights that the model holds now, on the splits that choose."""
        return self.board.selection_accuracy(self.board.features_with(self.clip), head)

    def score_line(self, before: State, after: State, like: Head, seed: int) -> None:
        """The job's alphas between the two, then the fine-tuned end, which the model holds after
        this; `like` is that end's head."""
        towers = self.board.features_with(self.clip)
        for alpha in sorted(self.workspace.spec.alphas):
            mixed = interpolate(before, after, alpha)
            put_tensors(self.clip, mixed)
            head = head_for(self.clip, mixed, like)
            self.board.score_model(f"wise_ft@{alpha:g}", seed, towers, head)
        put_tensors(self.clip, after)
        self.board.score_model("fine_tuned", seed, towers, like)


class MetricsLog:
    """Step metrics on their way to the supervisor and into `metrics.csv`."""

    def __init__(self, workspace: Workspace, total_steps: int) -> None:
        """`total_steps` are those of one seed."""
        self._workspace = workspace
        self._n_seeds = len(workspace.spec.seeds)
        self._total_steps = total_steps
        self._rows: list[tuple[int, int, dict[str, float]]] = []

    def of_seed(
        self, number: int, seed: int, steps_before: int = 0
    ) -> Callable[[list[StepReport]], None]:
        """For the job's `number`-th seed. Where that takes several runs, each counts on from the
        steps before it."""

        def on_reports(reports: list[StepReport]) -> None:
            reporter = self._workspace.reporter
            for report in reports:
                step = steps_before + report.step
                self._rows.append((seed, step, report.values))
                reporter.send(Metrics(seed=seed, step=step, values=report.values))
            step = steps_before + reports[-1].step + 1
            done = (number + step / self._total_steps) / self._n_seeds
            reporter.within("training", done, step, self._total_steps)

        return on_reports

    def write(self) -> None:
        path = self._workspace.directory / "metrics.csv"
        names = list(dict.fromkeys(name for _, _, values in self._rows for name in values))
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["seed", "step", *names])
            for seed, step, values in self._rows:
                writer.writerow([seed, step, *(values.get(name, "") for name in names)])
        self._workspace.store_artifact("metrics.csv", path)


def starting_head(clip: Clip, data: JobData, own: Head | None) -> Head:
    """Theta0's own head where it has one for exactly these classes, else the zero-shot head."""
    if own is not None and own.class_keys == data.class_keys:
        return own
    weight = build_head(clip, data.classes, data.templates)
    subsets = {split.name: split.subset for split in data.scored if split.subset is not None}
    return Head(weight, clip.scale, data.classes, data.class_keys, data.templates, subsets)


def _warn_of_small_classes(workspace: Workspace, data: JobData) -> None:
    labels = [] if data.train is None else data.train.labels
    few = [data.class_keys[column] for column in small_classes(labels, len(data.classes))]
    if few:
        workspace.reporter.warn(
            f"{len(few)} classes have fewer than {FEW_IMAGES} training images, among them "
            f"{', '.join(few[:5])}; what is learnt of them is mostly chance",
            classes=few,
        )
