"""What every job that trains shares: theta0 scored, and runs of a method."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core.jobs.protocol import ZERO_SHOT
from core.jobs.spec import ModelReference
from core.learning.class_balance import FEW_IMAGES, small_classes
from core.learning.combine.wise_ft import interpolate
from core.learning.merging import State
from core.learning.models import Clip, Head
from core.learning.snapshot import StateOfAnotherRun, restore
from core.learning.states import head_for, put_tensors
from core.learning.statistics import TrainingDomain
from core.learning.student import HEAD
from core.learning.trainer import TrainedState, Trainer, TrainingRun
from worker.pipeline.beginnings import Beginnings
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.companions import Companions
from worker.pipeline.data import JobData
from worker.pipeline.domain import training_domain
from worker.pipeline.plan import PlannedRun
from worker.pipeline.scoring import FeaturesOf, Scoreboard, open_scoreboard
from worker.pipeline.step_metrics import RunLog
from worker.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Runs:
    """A job's model, images and scores, theta0 scored already. Make one with `Runs.open`."""

    beginnings: Beginnings
    companions: Companions
    board: Scoreboard
    zero_shot: FeaturesOf  # whatever the model holds now

    @classmethod
    def open(cls, workspace: Workspace) -> Runs:
        """Raises `core.errors.InvalidDataset` and what the object store raises."""
        spec = workspace.spec
        beginnings = Beginnings.open(workspace)
        data, clip = beginnings.data, beginnings.clip
        _warn_of_small_classes(workspace, data)
        expected = len(spec.seeds) * (1 + len(spec.alphas))
        board = open_scoreboard(workspace, data, clip, expected=expected)
        zero_shot = board.zero_shot_features(clip)
        board.score_model(ZERO_SHOT, spec.seeds[0], zero_shot, beginnings.head0, phase="zero_shot")
        return cls(beginnings, Companions(workspace, clip.device), board, zero_shot)

    @property
    def workspace(self) -> Workspace:
        return self.beginnings.workspace

    @property
    def data(self) -> JobData:
        return self.beginnings.data

    @property
    def clip(self) -> Clip:
        return self.beginnings.clip

    @property
    def head0(self) -> Head:
        return self.beginnings.head0

    @property
    def theta0(self) -> dict[str, Tensor]:
        return self.beginnings.theta0

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
        try:
            result = self._train(run, checkpoints, log)
        except StateOfAnotherRun as fault:
            checkpoints.drop(run.number, fault)
            result = self._train(run, checkpoints, log)
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
        with self.beginnings.trainer(run, log.halved) as trainer:
            if not self._go_on(trainer, run, checkpoints, log):
                return None
            return trainer.state(self.selection_accuracy)

    def _train(self, run: PlannedRun, checkpoints: Checkpoints, log: RunLog) -> TrainingRun:
        with (
            self.companions.joined(run.number) as company,
            self.beginnings.trainer(run, log.halved) as trainer,
        ):
            went_on = self._go_on(trainer, run, checkpoints, log)
            if run.start is not None and not went_on:
                self._announce_start(run, run.start)
            company.begin(trainer)

            def validate(head: Head) -> float:
                accuracy = self.selection_accuracy(head)
                self._announce_score(run, run.steps_before + trainer.next_step, accuracy)
                return accuracy

            return trainer.run(
                on_reports=log,
                validate=validate,
                keeper=checkpoints.keeper(run.number, log),
            )

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

    def _announce_start(self, run: PlannedRun, start: ModelReference) -> None:
        self.workspace.reporter.event(
            f"seed {run.seed}: training begins from the weights of {start.id}; "
            f"{self.workspace.spec.theta0.id} stays what it is held against",
            seed=run.seed,
            start=start.id,
        )

    def _announce_score(self, run: PlannedRun, step: int, accuracy: float) -> None:
        """An event and no step metric: those are read in the order of steps, and this comes after
        its step."""
        where = " and ".join(split.name for split in self.data.selecting)
        self.workspace.reporter.event(
            f"seed {run.seed}: {100 * accuracy:.2f} % on {where} after step {step}",
            seed=run.seed,
            step=step,
            validation_accuracy=accuracy,
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

    def score_line(self, before: State, after: State, like: Head, seed: int) -> TrainingDomain:
        """The job's alphas between the two, then the fine-tuned end, which the model holds after
        this; `like` is that end's head, and its training domain is what comes back."""
        towers = self.board.features_with(self.clip)
        for alpha in sorted(self.workspace.spec.alphas):
            mixed = interpolate(before, after, alpha)
            put_tensors(self.clip, mixed)
            head = head_for(self.clip, mixed, like)
            self.board.score_model(f"wise_ft@{alpha:g}", seed, towers, head)
        put_tensors(self.clip, after)
        domain = training_domain(self.board, self.clip, like)
        self.board.score_model("fine_tuned", seed, towers, like, domain=domain)
        return domain


def _warn_of_small_classes(workspace: Workspace, data: JobData) -> None:
    labels = [] if data.train is None else data.train.labels
    few = [data.class_keys[column] for column in small_classes(labels, len(data.classes))]
    if few:
        workspace.reporter.warn(
            f"{len(few)} classes have fewer than {FEW_IMAGES} training images, among them "
            f"{', '.join(few[:5])}; what is learnt of them is mostly chance",
            classes=few,
        )
