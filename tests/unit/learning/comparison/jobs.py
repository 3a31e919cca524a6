"""Finished jobs for the comparison to read: files as the trainer writes them, answers drawn.

Answers are logits of known accuracy, scored by `core.learning.evaluation.score` itself, so rows
and image tables are what a job stores. Images have a difficulty that all models share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from core.learning.comparison.contender import Source
from core.learning.comparison.document import Comparison, Cost, Provenance
from core.learning.comparison.findings import compare
from core.learning.comparison.stored import JobFiles
from core.learning.evaluation import score
from core.learning.report import ResultRow

N_CLASSES = 8
PROVENANCE = Provenance(
    title="the drawn world",
    base="base:tiny",
    date="2026-11-30",
    commit="0123456789ab",
    version="0.1.0",
    machine="2 cores, x86_64, no GPU",
    selected_by=("Checkpoints and alphas were chosen on val, a slice of train.",),
)


@dataclass
class Job:
    """Rows and image tables of one job, written when all models are scored."""

    directory: Path
    rows: list[ResultRow] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def add(
        self,
        model: str,
        seed: int,
        accuracies: Mapping[str, float],
        *,
        n: int = 200,
        noise: float = 0.7,
        confidence: float = 2.0,
        shuffled: bool = False,
    ) -> None:
        """Score a model that answers exactly round(accuracy n) images of each split right.

        `shuffled` stores the images in another order; `noise` is how little models agree on
        which images are easy.
        """
        for split, accuracy in accuracies.items():
            logits, labels = answers(model, seed, split, accuracy, n, noise, confidence)
            keys = np.array([f"{split}/{number:05d}.png" for number in range(n)])
            if shuffled:
                order = np.random.default_rng(seed).permutation(n)
                logits, labels, keys = logits[order], labels[order], keys[order]
            scores = score(torch.from_numpy(logits), torch.from_numpy(labels), keys.tolist(), None)
            for metric in scores.metrics:
                self.rows.append(
                    ResultRow(
                        seed, model, split, metric.name, metric.value, metric.low, metric.high,
                        metric.n,
                    )
                )  # fmt: skip
            table = scores.images
            for place, (column, value) in enumerate(
                [("seed", seed), ("model", model), ("split", split)]
            ):
                table = table.add_column(place, column, pa.array([value] * n))
            self.tables.append(table)

    def write(self, selection: Sequence[str] = ()) -> Path:
        """results.json and predictions.parquet in the job's directory.

        Every model but zero-shot was chosen with the splits in `selection`.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        models = dict.fromkeys(row.model for row in self.rows)
        chosen = {model: [] if model == "zero_shot" else list(selection) for model in models}
        document = {
            "job": "ftjob-test",
            "method": "ft",
            "selection": {"splits": list(selection), "models": chosen},
            "rows": [asdict(row) for row in self.rows],
        }
        (self.directory / "results.json").write_text(json.dumps(document), encoding="utf-8")
        pq.write_table(pa.concat_tables(self.tables), self.directory / "predictions.parquet")
        return self.directory

    def files(self, row: str = "fine_tuned", seed: int | None = None) -> JobFiles:
        return JobFiles(
            self.directory / "results.json", self.directory / "predictions.parquet", row, seed
        )


def answers(
    model: str,
    seed: int,
    split: str,
    accuracy: float,
    n: int,
    noise: float,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, K) float32 and labels (n,): the easiest images for this model are right."""
    of_split = np.random.default_rng(list(split.encode()))
    labels = of_split.integers(N_CLASSES, size=n)
    ease = of_split.normal(size=n)
    of_model = np.random.default_rng([seed, *f"{model}/{split}/{accuracy}".encode()])
    place = np.argsort(-(ease + noise * of_model.normal(size=n)))
    right = np.zeros(n, dtype=bool)
    right[place[: round(accuracy * n)]] = True
    answered = np.where(right, labels, (labels + of_model.integers(1, N_CLASSES, n)) % N_CLASSES)
    logits = of_model.normal(0, 0.3, (n, N_CLASSES))
    spread = confidence * (0.5 + of_model.random(n)) + 0.8 * right
    logits[np.arange(n), answered] = logits.max(axis=1) + spread
    return logits.astype(np.float32), labels


def source(
    name: str,
    files: Sequence[JobFiles],
    *,
    label: str | None = None,
    seconds: float | None = 60.0,
    parent: Sequence[Cost] = (),
) -> Source:
    own = () if seconds is None else (Cost(what=name, seconds=seconds),)
    return Source(
        name=name,
        label=label or name,
        method_title=f"Method {name}",
        citation=f"Author et al., About {name}, 2024",
        files=tuple(files),
        costs=(*parent, *own),
    )


def compared(
    root: Path,
    accuracies: Mapping[str, Sequence[Mapping[str, float]]],
    zero_shot: Mapping[str, float] | None,
    *,
    n: int = 300,
    noise: float = 0.3,
    labels: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
    selection: Sequence[str] = (),
    provenance: Provenance = PROVENANCE,
) -> Comparison:
    """A comparison of jobs that hold, seed by seed, just these accuracies."""
    sources = []
    for name, seeds in accuracies.items():
        job = Job(root / name)
        if zero_shot is not None:
            job.add("zero_shot", 0, zero_shot, n=n, noise=noise)
        for seed, of_splits in enumerate(seeds):
            job.add("fine_tuned", seed, of_splits, n=n, noise=noise)
        job.write(selection)
        label = (labels or {}).get(name, name)
        sources.append(
            source(name, [job.files()], label=label, seconds=(seconds or {}).get(name, 60.0))
        )
    return compare(sources, provenance)
