"""Images that two models of one job answer differently, from its `predictions.parquet`.

Runs in a process apart (`core.datasets.apart`): Arrow is a hundred megabytes that a process which
serves others does without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InvalidRequest
from core.validation import shown

Change = Literal["gained", "lost", "all"]
_Answer = tuple[int, float]  # a label and its probability
_Pair = tuple[str, int, _Answer, _Answer]  # key, true label, before, after


@dataclass(frozen=True)
class Asked:
    """Which answers are held side by side, and which of them are wanted."""

    seed: int | None  # None for the job's first
    split: str
    model: str
    against: str
    change: Change  # all: whose label changed, be it right before, after or never
    class_index: int | None  # of the true class
    offset: int
    limit: int


def find_changes(path: Path, asked: Asked) -> dict[str, Any]:
    """{"seed", "total", "rows", "classes"}: a page of the changed images, and of every true class
    (index, images, right before, right after). A row is (key, label, (label, probability) before,
    the same after), labels as indices; the surest of the new answers come first.

    Raises InvalidRequest naming the splits, models or seeds that there are.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    seeds_and_models = pq.read_table(path, columns=["seed", "model", "split"])
    seeds = pc.unique(seeds_and_models["seed"]).to_pylist()
    seed = min(seeds) if asked.seed is None else asked.seed
    _require(seed, seeds, "seed")
    _require(asked.split, pc.unique(seeds_and_models["split"]).to_pylist(), "split")
    models = pc.unique(seeds_and_models["model"]).to_pylist()
    for param in ("model", "against"):
        _require(getattr(asked, param), models, param)
    columns = ["seed", "model", "key", "label", "top_labels", "top_probabilities"]
    table = pq.read_table(
        path,
        columns=columns,
        filters=[("split", "=", asked.split), ("model", "in", [asked.model, asked.against])],
    )
    before, after = (_answers(table, name, seed) for name in (asked.against, asked.model))
    pairs = [(key, *before[key], after[key][1]) for key in after if key in before]
    found = [row for row in pairs if _is_wanted(row, asked)]
    found.sort(key=lambda row: (-row[3][1], row[0]))
    return {
        "seed": seed,
        "total": len(found),
        "rows": found[asked.offset : asked.offset + asked.limit],
        "classes": _by_class(pairs),
    }


def _answers(table: Any, model: str, seed: int) -> dict[str, tuple[int, _Answer]]:
    """key -> (true label, (first answer, its probability)). Zero-shot has one seed for all."""
    import pyarrow.compute as pc

    of_model = table.filter(pc.field("model") == model)
    of_seed = of_model.filter(pc.field("seed") == seed)
    rows = (of_seed if of_seed.num_rows else of_model).to_pylist()
    return {
        row["key"]: (row["label"], (row["top_labels"][0], row["top_probabilities"][0]))
        for row in rows
    }


def _is_wanted(row: _Pair, asked: Asked) -> bool:
    _, label, (was, _), (became, _) = row
    if asked.class_index is not None and label != asked.class_index:
        return False
    if asked.change == "gained":
        return was != label and became == label
    if asked.change == "lost":
        return was == label and became != label
    return was != became


def _by_class(pairs: list[_Pair]) -> list[list[int]]:
    counts: dict[int, list[int]] = {}
    for _, label, (was, _), (became, _) in pairs:
        found = counts.setdefault(label, [label, 0, 0, 0])
        found[1] += 1
        found[2] += was == label
        found[3] += became == label
    return [counts[label] for label in sorted(counts)]


def _require(seen: object, known: list[Any], param: str) -> None:
    if seen not in known:
        listed = ", ".join(str(each) for each in sorted(known))
        raise InvalidRequest(
            f"{param} is {shown(seen)}; the job's predictions have {listed}.",
            code=f"unknown_{param}",
            param=param,
        )
