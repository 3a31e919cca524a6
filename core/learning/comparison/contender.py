"""Reading what jobs stored: `results.json` and `predictions.parquet`, seed by seed.

Runs are paired image by image, so every contender must have been scored on the same splits and
images; what was not is refused here, by name. Shapes: S seeds, N images of a split.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.learning.comparison.document import ZERO_SHOT, ZERO_SHOT_LABEL, Cost
from core.learning.metrics import CALIBRATION_BINS, calibration_bins
from core.learning.report import ResultRow

FINE_TUNED = "fine_tuned"  # the end of a job's alpha curve
_ALPHA = re.compile(r"wise_ft@(?P<alpha>\d+(\.\d+)?)")
_COLUMNS = ("seed", "split", "key", "label", "top_labels", "top_probabilities")


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


@dataclass(frozen=True)
class Source:
    """One contender and the jobs it is read from: one of several seeds, or one a seed."""

    name: str  # unique; `ft` is plain fine-tuning
    label: str  # unique; what tables and charts call it
    method_title: str
    citation: str
    files: tuple[JobFiles, ...]
    costs: tuple[Cost, ...] = ()  # everything it took, its parents' training included


@dataclass
class Run:
    """One model of one seed."""

    rows: list[ResultRow]
    correct: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # split -> (N,)
    # split -> (3, CALIBRATION_BINS): images, sum of confidence, sum of right answers
    bins: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Entrant:
    """A model over its seeds, and the rows of its alpha curve."""

    runs: dict[int, Run]
    curve: dict[float, dict[int, list[ResultRow]]]  # alpha -> seed -> rows


@dataclass(frozen=True)
class Field:
    """All contenders on the same images."""

    splits: dict[str, int]  # reported split -> images, in the order of the rows
    zero_shot: Entrant | None
    entrants: dict[str, Entrant]


def read_field(sources: Sequence[Source]) -> Field:
    """Everything the sources' files say of them, checked to be of the same images.

    Splits called `train` are left out, and `val` where there is a `test`.
    Raises NotComparable when names or labels repeat, a row, seed or split is missing, images or
    labels differ, zero-shot rows disagree, or the two files of a job do; OSError for a file that
    cannot be read.
    """
    _check_sources(sources)
    stored = _Stored()
    splits = _reported_splits(stored, sources)
    entrants = {source.name: _entrant(stored, source, splits) for source in sources}
    zero_shot = _zero_shot(stored, sources, splits)
    return Field({name: stored.n_images(name) for name in splits}, zero_shot, entrants)


class _Stored:
    """The files behind a field, each results file read once, and the images all must share."""

    def __init__(self) -> None:
        self._rows: dict[Path, list[ResultRow]] = {}
        self._images: dict[str, pa.Table] = {}  # split -> key, label

    def rows(self, path: Path) -> list[ResultRow]:
        if path not in self._rows:
            document = json.loads(path.read_text(encoding="utf-8"))
            rows = [ResultRow(**row) for row in document["rows"]]
            self._rows[path] = [row for row in rows if math.isfinite(row.value)]
        return self._rows[path]

    def n_images(self, split: str) -> int:
        return int(self._images[split].num_rows)

    def order(self, who: str, split: str, images: pa.Table) -> NDArray[np.intp] | None:
        """Where each of the split's images lies in `images`; None where the order is the same."""
        known = self._images.setdefault(split, images)
        if images.equals(known):
            return None
        found = pc.index_in(known["key"], value_set=images["key"].combine_chunks())
        n_keys = pc.count_distinct(images["key"]).as_py()
        same = n_keys == images.num_rows == known.num_rows and found.null_count == 0
        if not same or not images.take(found)["label"].equals(known["label"]):
            raise NotComparable(
                f"{who} was scored on other images or labels of {split} than the first contender; "
                "compare jobs of one dataset version"
            )
        order: NDArray[np.intp] = found.to_numpy().astype(np.intp)
        return order


def _check_sources(sources: Sequence[Source]) -> None:
    if not sources:
        raise NotComparable("there is no contender to compare; give at least one")
    for what, given in (
        ("called", [source.name for source in sources] + [ZERO_SHOT]),
        ("labelled", [source.label for source in sources] + [ZERO_SHOT_LABEL]),
    ):
        twice = [name for name in given if given.count(name) > 1]
        if twice:
            raise NotComparable(
                f"two contenders are {what} {twice[0]!r}; tell them apart, and leave zero-shot "
                "out: it is read from the jobs' own rows"
            )


def _reported_splits(stored: _Stored, sources: Sequence[Source]) -> list[str]:
    rows = [
        row for source in sources for files in source.files for row in stored.rows(files.results)
    ]
    splits = dict.fromkeys(row.split for row in rows if row.split != "train")
    if "test" in splits:
        splits.pop("val", None)
    if "test" not in splits and "val" not in splits:
        raise NotComparable(
            f"no job was scored on test or val, only on {', '.join(splits) or 'nothing'}; "
            "without ID accuracy there is nothing to hold a shift against"
        )
    return list(splits)


def _entrant(stored: _Stored, source: Source, splits: Sequence[str]) -> Entrant:
    runs: dict[int, Run] = {}
    curve: dict[float, dict[int, list[ResultRow]]] = {}
    for files in source.files:
        for seed, run in _runs(stored, source.label, files, files.row, splits).items():
            number = seed if files.seed is None else files.seed
            if number in runs:
                raise NotComparable(f"{source.label} has two runs of seed {number}; give one")
            runs[number] = run
        for alpha, seed, rows in _curve_rows(stored, files):
            curve.setdefault(alpha, {})[seed if files.seed is None else files.seed] = rows
    if not runs:
        raise NotComparable(f"{source.label} has no files; give those of at least one job")
    return Entrant(dict(sorted(runs.items())), dict(sorted(curve.items())))


def _zero_shot(stored: _Stored, sources: Sequence[Source], splits: Sequence[str]) -> Entrant | None:
    """The zero-shot model of the first file that has one; all others must agree with it."""
    holders = [
        (source.label, files)
        for source in sources
        for files in source.files
        if any(row.model == ZERO_SHOT for row in stored.rows(files.results))
    ]
    if not holders:
        return None
    label, first = holders[0]
    runs = _runs(stored, f"zero-shot in the job of {label}", first, ZERO_SHOT, splits)
    seed, run = next(iter(runs.items()))
    expected = {row.split: row for row in run.rows if row.metric == "accuracy"}
    for label, files in holders:
        for row in stored.rows(files.results):
            if row.model != ZERO_SHOT or row.metric != "accuracy" or row.split not in expected:
                continue
            reference = expected[row.split].value
            # A few images may fall the other way on another device; another base is far off.
            if abs(row.value - reference) > max(0.01, 1.5 / row.n):
                raise NotComparable(
                    f"zero-shot accuracy on {row.split} is {row.value:.3f} in the job of {label} "
                    f"and {reference:.3f} in that of {holders[0][0]}; compare jobs of one base"
                )
    return Entrant({seed: run}, {})


def _runs(
    stored: _Stored, who: str, files: JobFiles, name: str, splits: Sequence[str]
) -> dict[int, Run]:
    """The runs of one row name in one job, by the seed that its rows carry."""
    runs: dict[int, Run] = {}
    for row in stored.rows(files.results):
        if row.model == name:
            runs.setdefault(row.seed, Run([])).rows.append(row)
    if not runs:
        named = ", ".join(dict.fromkeys(row.model for row in stored.rows(files.results)))
        raise NotComparable(f"{who}: {files.results.name} has no row {name}, only {named}")
    if files.seed is not None and name != ZERO_SHOT and len(runs) > 1:
        raise NotComparable(
            f"{who}: {files.results.name} holds seeds {', '.join(map(str, runs))}, so they cannot "
            f"all be seed {files.seed}; leave `seed` out"
        )
    _read_images(stored, who, files, name, splits, runs)
    for seed, run in runs.items():
        _check_run(f"{who}, seed {seed}", run, splits)
    return runs


def _read_images(
    stored: _Stored,
    who: str,
    files: JobFiles,
    name: str,
    splits: Sequence[str],
    runs: dict[int, Run],
) -> None:
    wanted = (pc.field("model") == name) & pc.field("split").isin(list(splits))
    table = pq.read_table(files.predictions, columns=list(_COLUMNS), filters=wanted)
    for seed, split, part in _parts(table):
        if seed not in runs:
            continue
        images = part.select(["key", "label"])
        order = stored.order(f"{who}, seed {seed}", split, images)
        top = pc.list_element(part["top_labels"], 0).to_numpy()
        confidence = pc.list_element(part["top_probabilities"], 0).to_numpy()
        correct = top == part["label"].to_numpy()
        bins = calibration_bins(confidence)
        runs[seed].bins[split] = np.stack(
            [
                np.bincount(bins, weights=weights, minlength=CALIBRATION_BINS)
                for weights in (np.ones(len(bins)), confidence, correct)
            ]
        )
        runs[seed].correct[split] = correct if order is None else correct[order]


def _parts(table: pa.Table) -> list[tuple[int, str, pa.Table]]:
    """The table cut by seed and split, rows of a part in the file's order."""
    splits = table["split"].combine_chunks().dictionary_encode()
    names = splits.dictionary.to_pylist()
    seeds = table["seed"].to_numpy()
    order = np.lexsort((splits.indices.to_numpy(), seeds))
    sorted_ = table.select(["key", "label", "top_labels", "top_probabilities"]).take(order)
    codes, seeds = splits.indices.to_numpy()[order], seeds[order]
    edges = np.flatnonzero((np.diff(codes) != 0) | (np.diff(seeds) != 0)) + 1
    starts = [0, *edges.tolist()] if len(order) else []
    ends = [*edges.tolist(), len(order)]
    return [
        (int(seeds[start]), names[codes[start]], sorted_.slice(start, end - start).combine_chunks())
        for start, end in zip(starts, ends, strict=False)
    ]


def _check_run(who: str, run: Run, splits: Sequence[str]) -> None:
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


def _curve_rows(stored: _Stored, files: JobFiles) -> list[tuple[float, int, list[ResultRow]]]:
    """(alpha, seed, rows) of a job that scored interpolations, its fine-tuned end included."""
    found: dict[tuple[float, int], list[ResultRow]] = {}
    for row in stored.rows(files.results):
        match = _ALPHA.fullmatch(row.model)
        if match or row.model == FINE_TUNED:
            alpha = float(match["alpha"]) if match else 1.0
            found.setdefault((alpha, row.seed), []).append(row)
    if all(alpha == 1.0 for alpha, _ in found):
        return []
    return [(alpha, seed, rows) for (alpha, seed), rows in found.items()]
