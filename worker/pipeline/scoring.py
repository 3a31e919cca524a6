"""Every number of a job's table, measured once and kept with the images behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from core.jobs.messages import Phase, SplitResult
from core.learning.evaluation import (
    Scores,
    accuracy,
    head_logits,
    mask_columns,
    score,
    split_features,
)
from core.learning.models import Clip, Head
from core.learning.pixels import EvaluationPixels
from core.learning.report import ResultRow
from worker.pipeline.data import JobData, Split, evaluation_pixels
from worker.pipeline.features import cached_features
from worker.pipeline.workspace import Workspace

FeaturesOf = Callable[[Split], Tensor]
LogitsOf = Callable[[Split], Tensor]


@dataclass
class Scoreboard:
    """Rows of the table so far, and one row per image for each of them."""

    workspace: Workspace
    data: JobData
    pixels: dict[str, EvaluationPixels]
    rows: list[ResultRow] = field(default_factory=list)
    _tables: list[pa.Table] = field(default_factory=list)
    _done: int = 0
    expected: int = 1  # models that will be scored, for the progress bar

    def score_model(
        self,
        name: str,
        seed: int,
        features_of: FeaturesOf,
        head: Head,
        phase: Phase = "evaluating",
    ) -> None:
        """Score one model with weights of its own on every split; report and keep the rows."""

        def logits_of(split: Split) -> Tensor:
            return head_logits(features_of(split), head.weight, head.scale)

        self.score_answers(name, seed, logits_of, phase)

    def score_answers(
        self,
        name: str,
        seed: int,
        logits_of: LogitsOf,
        phase: Phase = "evaluating",
    ) -> None:
        """Score whatever answers with logits (N, K), or log-probabilities, on every split."""
        for number, split in enumerate(self.data.scored):
            labels = torch.from_numpy(self.pixels[split.name].labels)
            self._keep(name, seed, split, score(logits_of(split), labels, split.keys, split.subset))
            within_model = (number + 1) / len(self.data.scored)
            if phase == "zero_shot":
                self.workspace.reporter.within(phase, within_model)
            else:
                self.workspace.reporter.within(phase, (self._done + within_model) / self.expected)
        if phase != "zero_shot":
            self._done += 1

    def features_with(self, clip: Clip) -> FeaturesOf:
        """Features of a split under the weights the model holds when asked."""
        return lambda split: split_features(clip, clip.visual, self.pixels[split.name])

    def zero_shot_features(self, clip: Clip) -> FeaturesOf:
        """Features under theta0, from the cache where this model saw these images before."""
        sha256 = self.workspace.spec.theta0.sha256
        return lambda split: cached_features(
            self.workspace, clip, sha256, split, self.pixels[split.name]
        )

    def selection_accuracy(self, clip: Clip, head: Head) -> float:
        """Mean accuracy over the splits that choose the checkpoint, with the present weights."""
        accuracies = []
        for split in self.data.selecting:
            features = split_features(clip, clip.visual, self.pixels[split.name])
            logits = head_logits(features, head.weight, head.scale)
            logits = mask_columns(logits, split.subset)
            accuracies.append(accuracy(logits, torch.from_numpy(self.pixels[split.name].labels)))
        return sum(accuracies) / len(accuracies)

    def write_predictions(self, path: Path) -> None:
        """One Parquet file: seed, model, split and the columns of `core.learning.evaluation`."""
        pq.write_table(pa.concat_tables(self._tables), path, compression="zstd")

    def _keep(self, name: str, seed: int, split: Split, scores: Scores) -> None:
        for metric in scores.metrics:
            row = ResultRow(
                seed, name, split.name, metric.name, metric.value, metric.low, metric.high, metric.n
            )
            self.rows.append(row)
            self.workspace.reporter.send(SplitResult(**vars(row)))
        n = scores.images.num_rows
        table = scores.images
        for position, (column, value) in enumerate(
            [("seed", seed), ("model", name), ("split", split.name)]
        ):
            table = table.add_column(position, column, pa.array([value] * n))
        self._tables.append(table)


def open_scoreboard(
    workspace: Workspace, data: JobData, clip: Clip, *, expected: int
) -> Scoreboard:
    """A scoreboard over the job's scored splits, their pixels decoded now if need be."""
    pixels = {}
    for number, split in enumerate(data.scored):
        pixels[split.name] = evaluation_pixels(workspace, split, clip.preprocess_config)
        if split.subset is not None:
            workspace.reporter.event(
                f"{split.name} holds {len(split.subset)} of {len(data.classes)} classes and is "
                "scored among those",
                split=split.name,
                classes=[data.class_keys[column] for column in split.subset],
            )
        workspace.reporter.within("preparing", 0.5 + (number + 1) / len(data.scored) / 2)
    return Scoreboard(workspace, data, pixels, expected=expected)
