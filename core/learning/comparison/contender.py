"""The contenders: what the caller says of each, and what its jobs' files add to that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.learning.comparison.document import ZERO_SHOT, ZERO_SHOT_LABEL, Cost
from core.learning.comparison.stored import JobFiles, NotComparable, Run, StoredFiles
from core.learning.report import ResultRow

FINE_TUNED = "fine_tuned"  # the end of a job's alpha curve
# Another device may answer a few images otherwise; another base is far off.
ZERO_SHOT_TOLERANCE = 0.01
_ALPHA = re.compile(r"wise_ft@(?P<alpha>\d+(\.\d+)?)")


@dataclass(frozen=True)
class Source:
    """One contender and the jobs it is read from: one of several seeds, or one a seed."""

    name: str  # unique; `ft` is plain fine-tuning
    label: str  # unique; what tables and charts call it
    method_title: str
    citation: str
    files: tuple[JobFiles, ...]
    costs: tuple[Cost, ...] = ()  # everything it took, its parents' training included


@dataclass(frozen=True)
class Entrant:
    """A model over its seeds, and the rows of its alpha curve."""

    runs: dict[int, Run]
    chosen_on: tuple[str, ...]  # selection splits that chose it, or what it was made from
    curve: dict[float, dict[int, list[ResultRow]]]  # alpha -> seed -> rows


@dataclass(frozen=True)
class Field:
    """All contenders on the same images."""

    splits: dict[str, int]  # reported split -> images, in the order of the rows
    selection_splits: frozenset[str]
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
    stored = StoredFiles()
    splits = _reported_splits(stored, sources)
    entrants = {source.name: _entrant(stored, source, splits) for source in sources}
    zero_shot = _zero_shot(stored, sources, splits)
    return Field(
        splits={name: stored.n_images(name) for name in splits},
        selection_splits=frozenset(
            split
            for source in sources
            for files in source.files
            for split in stored.results(files.results).selection_splits
        ),
        zero_shot=zero_shot,
        entrants=entrants,
    )


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
    for source in sources:
        if not source.files:
            raise NotComparable(f"{source.label} has no files; give those of at least one job")


def _reported_splits(stored: StoredFiles, sources: Sequence[Source]) -> list[str]:
    splits = dict.fromkeys(
        row.split
        for source in sources
        for files in source.files
        for row in stored.results(files.results).rows
        if row.split != "train"
    )
    if "test" in splits:
        splits.pop("val", None)
    elif "val" not in splits:
        raise NotComparable(
            f"no job was scored on test or val, only on {', '.join(splits) or 'nothing'}; "
            "without ID accuracy there is nothing to hold a shift against"
        )
    return list(splits)


def _entrant(stored: StoredFiles, source: Source, splits: Sequence[str]) -> Entrant:
    runs: dict[int, Run] = {}
    curve: dict[float, dict[int, list[ResultRow]]] = {}
    chosen_on: dict[str, None] = {}
    for files in source.files:
        for seed, run in stored.runs(source.label, files, files.row, splits).items():
            number = files.seed_of(seed)
            if number in runs:
                raise NotComparable(f"{source.label} has two runs of seed {number}; give one")
            runs[number] = run
        results = stored.results(files.results)
        chosen_on |= dict.fromkeys(results.chosen_on.get(files.row, ()))
        for alpha, seed, rows in _curve_rows(results.rows):
            curve.setdefault(alpha, {})[files.seed_of(seed)] = rows
    return Entrant(dict(sorted(runs.items())), tuple(chosen_on), dict(sorted(curve.items())))


def _zero_shot(
    stored: StoredFiles, sources: Sequence[Source], splits: Sequence[str]
) -> Entrant | None:
    """The zero-shot model of the first file that has one; all others must agree with it."""
    holders = [
        (source.label, files)
        for source in sources
        for files in source.files
        if any(row.model == ZERO_SHOT for row in stored.results(files.results).rows)
    ]
    if not holders:
        return None
    first, files = holders[0]
    runs = stored.runs(f"zero-shot in the job of {first}", files, ZERO_SHOT, splits)
    seed, run = next(iter(runs.items()))
    expected = {row.split: row.value for row in run.rows if row.metric == "accuracy"}
    for label, other in holders[1:]:
        for row in stored.results(other.results).rows:
            if row.model != ZERO_SHOT or row.metric != "accuracy" or row.split not in expected:
                continue
            # One image more or less is within tolerance however few there are.
            if abs(row.value - expected[row.split]) > max(ZERO_SHOT_TOLERANCE, 1.5 / row.n):
                raise NotComparable(
                    f"zero-shot accuracy on {row.split} is {row.value:.3f} in the job of {label} "
                    f"and {expected[row.split]:.3f} in that of {first}; compare jobs of one base"
                )
    chosen_on = stored.results(files.results).chosen_on.get(ZERO_SHOT, ())
    return Entrant({seed: run}, chosen_on, {})


def _curve_rows(rows: Sequence[ResultRow]) -> list[tuple[float, int, list[ResultRow]]]:
    """(alpha, seed, rows) of a job that scored interpolations, its fine-tuned end included."""
    found: dict[tuple[float, int], list[ResultRow]] = {}
    for row in rows:
        match = _ALPHA.fullmatch(row.model)
        if match or row.model == FINE_TUNED:
            alpha = float(match["alpha"]) if match else 1.0
            found.setdefault((alpha, row.seed), []).append(row)
    if all(alpha == 1.0 for alpha, _ in found):
        return []
    return [(alpha, seed, rows) for (alpha, seed), rows in found.items()]
