"""What a job stored: `results.json` and `predictions.parquet`, read model by model.

Runs are paired image by image, so all must be of the same images; what is not is refused here, by
name. Shapes: N images of a split.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.learning.comparison.document import ZERO_SHOT
from core.learning.metrics import CALIBRATION_BINS, calibration_bins
from core.learning.report import ResultRow

_ROW = [field.name for field in fields(ResultRow)]
_COLUMNS = ["seed", "split", "key", "label", "top_labels", "top_probabilities"]


class NotComparable(ValueError):
    """The jobs cannot be set side by side; the message says which and why."""


@dataclass(frozen=True)
class JobFiles:
    """What one finished job stored, and the row in it that is meant."""

    results: Path
    predictions: Path
    row: str  # fine_tuned, wise_ft@0.5, ...
    # The training seed, for a job over one run whose rows carry another number.
    seed: int | None = None

    def seed_of(self, seed_in_rows: int) -> int:
        return seed_in_rows if self.seed is None else self.seed


@dataclass(frozen=True)
class Results:
    """One `results.json`, without the numbers that are not finite."""

    rows: list[ResultRow]
    selection_splits: tuple[str, ...]  # whose labels chose something
    chosen_on: dict[str, tuple[str, ...]]  # row name -> the selection splits that chose the model


@dataclass
class Run:
    """One model of one seed."""

    rows: list[ResultRow]
    correct: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # split -> (N,)
    # split -> (3, CALIBRATION_BINS): images, sum of confidence, right answers
    bins: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class StoredFiles:
    """The files behind a comparison: each `results.json` read once, all on the same images."""

    def __init__(self) -> None:
        self._results: dict[Path, Results] = {}
        self._images: dict[str, pa.Table] = {}  # split -> key, label

    def results(self, path: Path) -> Results:
        """Raises NotComparable for what is no job's `results.json`, OSError for no file."""
        if path not in self._results:
            text = path.read_text(encoding="utf-8")
            try:
                self._results[path] = _results(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise NotComparable(f"{path} is not a job's results.json: {error!r}") from error
        return self._results[path]

    def runs(self, who: str, files: JobFiles, row: str, splits: Sequence[str]) -> dict[int, Run]:
        """The runs of one row name in one job, by the seed that its rows carry.

        Raises NotComparable when there is none, when a split is missing, when images or labels
        differ from those read before, and when the two files disagree.
        """
        runs: dict[int, Run] = {}
        rows = self.results(files.results).rows
        for found in rows:
            if found.model == row:
                runs.setdefault(found.seed, Run([])).rows.append(found)
        if not runs:
            named = ", ".join(dict.fromkeys(found.model for found in rows))
            raise NotComparable(f"{who}: {files.results} has no row {row}, only {named}")
        if files.seed is not None and row != ZERO_SHOT and len(runs) > 1:
            raise NotComparable(
                f"{who}: {files.results} holds seeds {', '.join(map(str, runs))}, which cannot "
                f"all be seed {files.seed}; leave `seed` out"
            )
        self._read_images(who, files.predictions, row, splits, runs)
        for seed, run in runs.items():
            _check(f"{who}, seed {files.seed_of(seed)}", run, splits)
        return dict(sorted(runs.items()))

    def n_images(self, split: str) -> int:
        return int(self._images[split].num_rows)

    def _read_images(
        self, who: str, path: Path, row: str, splits: Sequence[str], runs: dict[int, Run]
    ) -> None:
        wanted = (pc.field("model") == row) & pc.field("split").isin(list(splits))
        try:
            table = pq.read_table(path, columns=_COLUMNS, filters=wanted)
        except pa.ArrowInvalid as error:
            raise NotComparable(f"{path} is not a job's predictions.parquet: {error}") from error
        for seed, split, part in _parts(table):
            if seed not in runs:
                continue
            order = self._order(who, split, part.select(["key", "label"]))
            confidence_N = pc.list_element(part["top_probabilities"], 0).to_numpy()
            top_N = pc.list_element(part["top_labels"], 0).to_numpy()
            correct_N = top_N == part["label"].to_numpy()
            bins_N = calibration_bins(confidence_N)
            runs[seed].bins[split] = np.stack(
                [
                    np.bincount(bins_N, weights=weights_N, minlength=CALIBRATION_BINS)
                    for weights_N in (np.ones(len(bins_N)), confidence_N, correct_N)
                ]
            )
            runs[seed].correct[split] = correct_N if order is None else correct_N[order]

    def _order(self, who: str, split: str, images: pa.Table) -> NDArray[np.intp] | None:
        """Where each of the split's images lies in `images`; None where the order is the same."""
        known = self._images.setdefault(split, images)
        if images.equals(known):
            return None
        places = pc.index_in(known["key"], value_set=images["key"].combine_chunks())
        n_keys = pc.count_distinct(images["key"]).as_py()
        same = n_keys == images.num_rows == known.num_rows and places.null_count == 0
        if not same or not images.take(places)["label"].equals(known["label"]):
            raise NotComparable(
                f"{who} was scored on other images or labels of {split} than the first contender; "
                "compare jobs of one dataset version"
            )
        order: NDArray[np.intp] = places.to_numpy().astype(np.intp)
        return order


def _results(document: dict[str, object]) -> Results:
    stored = document["rows"]
    selection = document.get("selection") or {}
    if not isinstance(stored, list) or not isinstance(selection, dict):
        raise TypeError("rows must be a list and selection an object")
    rows = [ResultRow(**{name: row[name] for name in _ROW}) for row in stored]
    chosen_on = selection.get("models", {})
    return Results(
        rows=[row for row in rows if row.value is not None and math.isfinite(row.value)],
        selection_splits=tuple(selection.get("splits", ())),
        chosen_on={model: tuple(splits) for model, splits in chosen_on.items()},
    )


def _parts(table: pa.Table) -> list[tuple[int, str, pa.Table]]:
    """The table cut by seed and split, the rows of a part in the file's order."""
    coded = table["split"].combine_chunks().dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy()
    seeds = table["seed"].to_numpy()
    order = np.lexsort((codes, seeds))
    codes, seeds = codes[order], seeds[order]
    table = table.take(order)
    changes = np.flatnonzero((np.diff(codes) != 0) | (np.diff(seeds) != 0)) + 1
    starts = [0, *changes.tolist()] if len(order) else []
    ends = [*changes.tolist(), len(order)]
    return [
        (int(seeds[start]), names[codes[start]], table.slice(start, end - start).combine_chunks())
        for start, end in zip(starts, ends, strict=False)
    ]


def _check(who: str, run: Run, splits: Sequence[str]) -> None:
    accuracies = {row.split: row.value for row in run.rows if row.metric == "accuracy"}
    for split in splits:
        if split not in accuracies or split not in run.correct:
            where = "results.json" if split not in accuracies else "predictions.parquet"
            raise NotComparable(
                f"{who}: {where} has nothing on {split}, which another contender was scored on; "
                "score every contender on the same splits"
            )
        counted = float(run.correct[split].mean())
        if not math.isclose(accuracies[split], counted, abs_tol=1e-6):
            raise NotComparable(
                f"{who}: accuracy on {split} is {accuracies[split]:.4f} in results.json and "
                f"{counted:.4f} in predictions.parquet; give the two files of one job"
            )
