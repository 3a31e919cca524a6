"""Every number of a job's table, measured once and kept with the images behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from core.errors import InvalidSpec
from core.jobs.messages import Phase, SplitResult
from core.jobs.protocol import ZERO_SHOT, protocol_of
from core.learning.calibration import Calibration, fit_temperature, is_at_bound
from core.learning.evaluation import accuracy, head_logits, mask_columns, score, split_features
from core.learning.metrics import Metric, proportion
from core.learning.models import Clip, Head
from core.learning.pixels import EvaluationPixels
from core.learning.report import Protocol, ResultRow, RobustnessLine
from core.learning.significance import Correct
from core.learning.statistics import FALSE_ALARMS, TrainingDomain
from worker.pipeline.data import JobData, Split, evaluation_pixels, make_evaluation_pixels
from worker.pipeline.summaries import changes, right_answers, robustness_lines
from worker.pipeline.workspace import Workspace
from worker.pipeline.zero_shot import ZeroShot

FeaturesOf = Callable[[Split], Tensor]
LogitsOf = Callable[[Split], Tensor]
_Answer = Callable[[Split], tuple[Tensor, list[Metric]]]


@dataclass
class Scoreboard:
    """Rows of the table so far, and one row per image for each of them."""

    workspace: Workspace
    data: JobData
    pixels: dict[str, EvaluationPixels]
    rows: list[ResultRow] = field(default_factory=list)
    lines: list[RobustnessLine] = field(default_factory=list)
    expected: int = 1  # models that will be scored, for the progress bar
    _zero_shot: ZeroShot | None = None
    _temperatures: dict[tuple[str, int], float | None] = field(default_factory=dict)
    _tables: list[pa.Table] = field(default_factory=list)
    _correct: dict[tuple[str, int], dict[str, Correct]] = field(default_factory=dict)
    _compared: set[tuple[str, int]] = field(default_factory=set)
    _done: int = 0

    @cached_property
    def protocol(self) -> Protocol:
        """How the figures come about, which is said beside them."""
        return protocol_of(self.workspace.spec)

    def score_model(
        self,
        name: str,
        seed: int,
        features_of: FeaturesOf,
        head: Head,
        phase: Phase = "evaluating",
        *,
        descends: bool = True,
        domain: TrainingDomain | None = None,
    ) -> None:
        """Score one model with weights of its own on every split; report and keep the rows.

        A model that `descends` from theta0 is also measured by how far it moved from it, where
        `zero_shot_features` were asked for before; one whose training domain is known by how many
        images it would flag as shifted.
        """
        measured = descends and name not in self._references

        def answer(split: Split) -> tuple[Tensor, list[Metric]]:
            features = features_of(split)
            logits = head_logits(features, head.weight, head.scale)
            zero_shot = self._zero_shot if measured else None
            further = [] if zero_shot is None else zero_shot.drift(split, features)
            # On val the rate is what the threshold was made for.
            if domain is not None and split.name != "val":
                flagged = domain.shift(features, logits).p <= FALSE_ALARMS
                further.append(proportion("shift_flagged", int(flagged.sum()), len(flagged)))
            return logits, further

        self._score(name, seed, answer, phase)

    def score_answers(
        self,
        name: str,
        seed: int,
        logits_of: LogitsOf,
        phase: Phase = "evaluating",
    ) -> None:
        """Score whatever answers with logits (N, K), or log-probabilities, on every split."""
        self._score(name, seed, lambda split: (logits_of(split), []), phase)

    def features_with(self, clip: Clip) -> FeaturesOf:
        """Features of a split under the weights the model holds when asked."""
        return lambda split: split_features(clip, clip.visual, self.pixels[split.name])

    def zero_shot_features(self, clip: Clip) -> FeaturesOf:
        """Features under theta0, whose weights the model holds now; kept for the job, and from the
        cache where this model saw these images before."""
        self._zero_shot = ZeroShot.of(self.workspace, clip, self.pixels)
        return self._zero_shot.features

    def selection_accuracy(self, features_of: FeaturesOf, head: Head) -> float:
        """Mean accuracy of a model over the splits that choose."""
        accuracies = []
        for split in self.data.selecting:
            logits = head_logits(features_of(split), head.weight, head.scale)
            logits = mask_columns(logits, split.subset)
            accuracies.append(accuracy(logits, torch.from_numpy(self.pixels[split.name].labels)))
        return sum(accuracies) / len(accuracies)

    def calibration(self, name: str, seed: int) -> Calibration:
        """What was fitted for a scored model, and for theta0 where that was scored."""
        of_theta0 = [T for (each, _), T in self._temperatures.items() if each in self._references]
        return Calibration(self._temperatures.get((name, seed)), *(of_theta0 or [None])[:1])

    def write_predictions(self, path: Path) -> None:
        """One Parquet file: seed, model, split and the columns of `core.learning.evaluation`."""
        # Only some splits have groups; the others' are null.
        whole = pa.concat_tables(self._tables, promote_options="default")
        pq.write_table(whole, path, compression="zstd")

    @property
    def _references(self) -> tuple[str, str]:
        """Theta0's names in the rows: its own where models are scored by theirs."""
        return ZERO_SHOT, self.workspace.spec.theta0.id

    def _score(self, name: str, seed: int, answer: _Answer, phase: Phase) -> None:
        temperature = None
        correct: dict[str, Correct] = {}
        for number, split in enumerate(self.data.scored):
            logits, further = answer(split)
            labels = torch.from_numpy(self.pixels[split.name].labels)
            scores = score(
                logits,
                labels,
                split.keys,
                split.subset,
                temperature=temperature,
                groups=split.groups,
            )
            metrics = [*scores.metrics, *further]
            if split.name == "val":  # the first; T is used on all others, as it was fitted here
                temperature = self._fit_temperature(
                    name, mask_columns(logits, split.subset), labels
                )
                self._temperatures[name, seed] = temperature
                if temperature is not None:
                    metrics.append(Metric("temperature", temperature, None, None, len(labels)))
            self._keep(name, seed, split.name, metrics)
            self._keep_images(name, seed, split.name, scores.images)
            correct[split.name] = right_answers(scores.images)
            within_model = (number + 1) / len(self.data.scored)
            if phase == "zero_shot":
                self.workspace.reporter.within(phase, within_model)
            else:
                self.workspace.reporter.within(phase, (self._done + within_model) / self.expected)
        self._correct[name, seed] = correct
        for line in robustness_lines(self.workspace.spec, name, seed, correct):
            self.lines.append(line)
            value = Metric("effective_robustness", line.fit.value, None, None, line.fit.n)
            self._keep(name, seed, line.split, [value])
        self._compare()
        if phase != "zero_shot":
            self._done += 1

    def _fit_temperature(self, name: str, logits: Tensor, labels: Tensor) -> float | None:
        """T on the ID validation images; None, with a warning, where they do not allow one."""
        try:
            found = fit_temperature(logits, labels)
        except ValueError as fault:
            self.workspace.reporter.warn(f"no temperature is fitted for {name}: {fault}")
            return None
        if is_at_bound(found):
            self.workspace.reporter.warn(
                f"the temperature of {name} is {found:g}, an end of the range searched: the "
                f"{len(labels)} images of val are too few or too easy to calibrate on",
                model=name,
            )
        return found

    def _compare(self) -> None:
        """Hold every model against theta0, once both are scored."""
        by_name = {model: correct for (model, _), correct in self._correct.items()}
        correct0 = next((by_name[name] for name in self._references if name in by_name), None)
        if correct0 is None:
            return
        for (name, seed), correct in self._correct.items():
            if name in self._references or (name, seed) in self._compared:
                continue
            self._compared.add((name, seed))
            for split, metrics in changes(correct, correct0).items():
                self._keep(name, seed, split, metrics)

    def _keep(self, name: str, seed: int, split: str, metrics: list[Metric]) -> None:
        for metric in metrics:
            row = ResultRow(
                seed, name, split, metric.name, metric.value, metric.low, metric.high, metric.n
            )
            self.rows.append(row)
            self.workspace.reporter.send(SplitResult(**vars(row)))

    def _keep_images(self, name: str, seed: int, split: str, images: pa.Table) -> None:
        n = images.num_rows
        for position, (column, value) in enumerate(
            [("seed", seed), ("model", name), ("split", split)]
        ):
            images = images.add_column(position, column, pa.array([value] * n))
        self._tables.append(images)


def open_scoreboard(
    workspace: Workspace, data: JobData, clip: Clip, *, expected: int
) -> Scoreboard:
    """A scoreboard over the job's scored splits, their pixels decoded now if need be.

    Raises InvalidSpec when the built-in shifts would not fit into the cache.
    """
    _require_room(workspace, data, clip)
    config, total = clip.preprocess_config, len(data.scored)
    pixels: dict[str, EvaluationPixels] = {}
    for splits in data.by_images:
        progress = partial(_progress, workspace, len(pixels) / total, len(splits) / total)
        make_evaluation_pixels(workspace, splits, config, progress)
        for split in splits:
            pixels[split.name] = evaluation_pixels(workspace, split, config)
        progress(1.0)
    return Scoreboard(workspace, data, pixels, expected=expected)


def _progress(workspace: Workspace, before: float, share: float, done: float) -> None:
    workspace.reporter.within("preparing", 0.5 + (before + share * done) / 2)


def _require_room(workspace: Workspace, data: JobData, clip: Clip) -> None:
    shifted = [split for split in data.scored if split.shift is not None]
    needed = sum(len(split.entries) for split in shifted) * clip.image_size**2 * 3
    room = workspace.settings.cache_bytes
    if needed > room:
        raise InvalidSpec(
            f"evaluation.corruptions asks for {len(shifted)} built-in shifts of "
            f"{len(shifted[0].entries)} images, {needed} bytes of pixels; a worker here keeps "
            f"{room}. Ask for fewer, or raise LIPSUM_CACHE_BYTES.",
            code="too_many_corruptions",
            param="evaluation.corruptions",
        )
