"""What every job that trains shares: theta0 scored, and runs of a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from core.jobs.protocol import ZERO_SHOT
from core.jobs.spec import ModelReference
from core.learning.class_balance import FEW_IMAGES, class_weights, small_classes
from core.learning.combine.wise_ft import interpolate
from core.learning.merging import State
from core.learning.models import Clip, Head, load_directory, load_head, pick_device
from core.learning.pixels import AugmentedBatches
from core.learning.random_text import DrawnTexts
from core.learning.snapshot import restore
from core.learning.states import StoredTensors, head_for, put_tensors, tensors_of
from core.learning.student import HEAD, Start
from core.learning.trainer import TrainedState, Trainer, TrainingRun
from core.learning.zero_shot import build_head
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.data import JobData, load_data, training_pixels
from worker.pipeline.features import cached_head
from worker.pipeline.plan import PlannedRun
from worker.pipeline.scoring import FeaturesOf, Scoreboard, open_scoreboard
from worker.pipeline.step_metrics import RunLog
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
        head0 = starting_head(clip, data, load_head(directory), partial(_kept_head, workspace))
        # Whatever head trains from here on, the line to it begins at this one.
        theta0 = tensors_of(clip, replace(head0, from_text=False))
        zero_shot = board.zero_shot_features(clip)
        board.score_model(ZERO_SHOT, spec.seeds[0], zero_shot, head0, phase="zero_shot")
        return cls(workspace, data, clip, board, head0, theta0, zero_shot)

    def train(self, run: PlannedRun, checkpoints: Checkpoints, log: RunLog) -> TrainingRun:
        """One run from its beginning, or from where an earlier attempt left it; what the model
        holds afterwards is any step's.

        Raises `core.learning.trainer.LossNotFinite`, and `StopRequested` when its state is kept.
        """
        done = checkpoints.finished(run.number, self.head0)
        if done is not None:
            result, rows = done
            log.go_on(rows)
            return result
        with self._trainer(run, log) as trainer:
            try:
                went_on = self._go_on(trainer, run, checkpoints, log)
            except ValueError as fault:
                checkpoints.drop(run.number, fault)
                return self.train(run, checkpoints, log)
            if run.start is not None and not went_on:
                self._announce_start(run, run.start)
            result = trainer.run(
                on_reports=log,
                validate=self.selection_accuracy,
                keeper=checkpoints.keeper(run.number, log),
            )
        checkpoints.finish(run.number, result, log)
        return result

    def kept_state(
        self, run: PlannedRun, checkpoints: Checkpoints, log: RunLog
    ) -> TrainedState | None:
        """What a run had come to in an earlier attempt, scored; None for one that had not begun."""
        done = checkpoints.finished(run.number, self.head0)
        if done is not None:
            result, rows = done
            log.go_on(rows)
            return result.best
        with self._trainer(run, log) as trainer:
            if not self._go_on(trainer, run, checkpoints, log):
                return None
            return trainer.state(self.selection_accuracy)

    def _go_on(
        self, trainer: Trainer, run: PlannedRun, checkpoints: Checkpoints, log: RunLog
    ) -> bool:
        """Puts the run where it was interrupted, if it was."""
        interrupted = checkpoints.interrupted(run.number, self.head0)
        if interrupted is None:
            return False
        state, rows = interrupted
        restore(trainer, state)
        log.go_on(rows)
        self.workspace.reporter.event(
            f"seed {run.seed}: goes on from step {run.steps_before + state.step}",
            seed=run.seed,
            step=run.steps_before + state.step,
        )
        return True

    @contextmanager
    def _trainer(self, run: PlannedRun, log: RunLog) -> Iterator[Trainer]:
        """A run before its first step."""
        start = self._start(run)
        put_tensors(self.clip, self.theta0)
        recipe, seed = run.method.hyperparameters, run.own_seed
        assert self.data.train is not None  # a training job was refused without one
        weights = None
        if recipe.class_balance == "loss":
            weights = class_weights(self.data.train.labels, len(self.data.classes))
        batches = AugmentedBatches(
            training_pixels(self.workspace, self.data.train),
            self.clip.preprocess_config,
            seed=seed,
            batch_size=int(recipe.batch_size),
            crop_scale_min=recipe.crop_scale_min,
            flip_probability=recipe.flip_probability,
            balanced=recipe.class_balance == "sampling",
        )
        try:
            yield Trainer(
                self.clip,
                self.head0,
                run.method,
                batches,
                DrawnTexts(self.clip.text, seed) if run.method.needs_random_texts else None,
                seed=seed,
                start=start,
                class_weights=weights,
                repeatable=self.workspace.settings.deterministic,
                on_halved=log.halved,
            )
        finally:
            batches.close()

    def _start(self, run: PlannedRun) -> Start | None:
        """What the run begins from, where that is not theta0: the weights of a stored model, and
        its head where it has one for exactly these classes, else one built from its text tower."""
        if run.start is None:
            return None
        directory = self.workspace.model_directory(run.start)
        head, trains_head = load_head(directory), "head" in run.method.trains
        weights = StoredTensors(directory)
        if not trains_head:
            return Start(weights, None)
        if head is not None and head.class_keys == self.data.class_keys:
            return Start(weights, head.weight)
        put_tensors(self.clip, weights)
        return Start(weights, build_head(self.clip, self.data.classes, self.data.templates))

    def _announce_start(self, run: PlannedRun, start: ModelReference) -> None:
        self.workspace.reporter.event(
            f"seed {run.seed}: training begins from the weights of {start.id}; "
            f"{self.workspace.spec.theta0.id} stays what it is held against",
            seed=run.seed,
            start=start.id,
        )

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


def starting_head(
    clip: Clip,
    data: JobData,
    own: Head | None,
    build: Callable[[Clip, Sequence[str], Sequence[str]], Tensor] = build_head,
) -> Head:
    """Theta0's own head where it has one for exactly these classes, else the zero-shot head."""
    if own is not None and own.class_keys == data.class_keys:
        return own
    weight = build(clip, data.classes, data.templates)
    subsets = {split.name: split.subset for split in data.scored if split.subset is not None}
    return Head(weight, clip.scale, data.classes, data.class_keys, data.templates, subsets)


def _kept_head(
    workspace: Workspace, clip: Clip, classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Of theta0, whose weights the model holds."""
    return cached_head(workspace, clip, workspace.spec.theta0.sha256, classes, templates)


def _warn_of_small_classes(workspace: Workspace, data: JobData) -> None:
    labels = [] if data.train is None else data.train.labels
    few = [data.class_keys[column] for column in small_classes(labels, len(data.classes))]
    if few:
        workspace.reporter.warn(
            f"{len(few)} classes have fewer than {FEW_IMAGES} training images, among them "
            f"{', '.join(few[:5])}; what is learnt of them is mostly chance",
            classes=few,
        )
