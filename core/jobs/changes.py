"""Images that two models of one job answer differently, from its `predictions.parquet`.

Runs in a process apart (`core.datasets.apart`): Arrow is a hundred megabytes that a process which
serves others does without. Shapes: N images of a split.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InvalidRequest, StorageFault
from core.validation import shown

Change = Literal["gained", "lost", "all"]
_NAMED = 50  # of what there is, in one message
_PLACE = ["seed", "model", "split"]


@dataclass(frozen=True)
class Asked:
    """Which answers are held side by side, and which of them are wanted."""

    seed: int | None  # None for the job's first
    split: str
    model: str
    against: str
    change: Change  # all: whose label changed, be it right before, after or never
    classes: list[int] | None  # true ones; None for every class
    offset: int
    limit: int


def find_changes(path: Path, asked: Asked) -> dict[str, Any]:
    """{"seed", "total", "rows", "classes"}: a page of the changed images, and of every true class
    (index, images, right before, right after). A row is (key, label, (label, probability) before,
    the same after), labels as indices; the surest of the new answers come first. A probability
    that is no finite number is None.

    Raises InvalidRequest naming the splits, models or seeds that there are, and StorageFault for a
    file that cannot be read.
    """
    import pyarrow as pa

    try:
        return _find(path, asked)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageFault(
            f"The stored predictions cannot be read ({error}); tell the operator."
        ) from error


def listed(names: Iterable[object]) -> str:
    """The first of them, for a message that says what there is."""
    found = [str(name) for name in names]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def _find(path: Path, asked: Asked) -> dict[str, Any]:
    import numpy as np
    import pyarrow.compute as pc

    seed, seeds = _seeds(path, asked)
    before = _answers(path, asked.split, asked.against, seeds[asked.against])
    after = _answers(path, asked.split, asked.model, seeds[asked.model])
    places = pc.index_in(before["key"], value_set=after["key"])
    before, after = before.filter(pc.is_valid(places)), after.take(places.drop_null())
    label_N, was_N = before["label"].to_numpy(), before["answer"].to_numpy()
    became_N, sure_N = after["answer"].to_numpy(), after["probability"].to_numpy()
    right_N, now_right_N = was_N == label_N, became_N == label_N
    wanted_N = {
        "gained": ~right_N & now_right_N,
        "lost": right_N & ~now_right_N,
        "all": was_N != became_N,
    }[asked.change]
    if asked.classes is not None:
        wanted_N &= np.isin(label_N, asked.classes)
    found = np.flatnonzero(wanted_N)
    found = found[np.argsort(-sure_N[found], kind="stable")]
    page = found[asked.offset : asked.offset + asked.limit]
    classes = np.unique(label_N)
    counts = [
        np.bincount(label_N, weights=each_N)[classes].astype(int).tolist()
        for each_N in (np.ones(len(label_N)), right_N, now_right_N)
    ]
    return {
        "seed": seed,
        "total": len(found),
        "rows": [
            [was["key"], was["label"], _answer(was), _answer(became)]
            for was, became in zip(
                before.take(page).to_pylist(), after.take(page).to_pylist(), strict=True
            )
        ],
        "classes": [list(each) for each in zip(classes.tolist(), *counts, strict=True)],
    }


def _seeds(path: Path, asked: Asked) -> tuple[int, dict[str, int]]:
    """The seed that is meant, and the one that each model's rows of it carry: what was scored once,
    as zero-shot is, is held against every seed."""
    import pyarrow.parquet as pq

    names = pq.read_table(path, columns=_PLACE, read_dictionary=["model", "split"])
    names = names.unify_dictionaries()
    known: dict[str, dict[Any, None]] = {
        name: dict.fromkeys(names[name].unique().to_pylist()) for name in _PLACE
    }
    # The job's first seed is what is scored first.
    seed = int(next(iter(known["seed"]))) if asked.seed is None else asked.seed
    if asked.split not in known["split"]:
        raise InvalidRequest(
            f"split is {shown(asked.split)}; the job's predictions have {listed(known['split'])}.",
            code="unknown_split",
            param="split",
        )
    for param, model in (("model", asked.model), ("against", asked.against)):
        if model not in known["model"]:
            raise InvalidRequest(
                f"{param} is {shown(model)}; the job's predictions have {listed(known['model'])}.",
                code="unknown_model",
                param=param,
            )
    _require_seed(seed, known["seed"])
    runs = names.select(["seed", "model"]).group_by(["seed", "model"]).aggregate([]).to_pylist()
    found = {}
    for model in (asked.model, asked.against):
        own = [run["seed"] for run in runs if run["model"] == model]
        if len(own) > 1:
            _require_seed(seed, own)
        found[model] = seed if seed in own else own[0]
    return seed, found


def _answers(path: Path, split: str, model: str, seed: int) -> Any:
    """A table of N rows: key, label, answer, probability."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    of_run = [("split", "=", split), ("model", "=", model), ("seed", "=", seed)]
    columns = ["key", "label", "top_labels", "top_probabilities"]
    table = pq.read_table(path, columns=columns, filters=of_run).combine_chunks()
    return pa.table(
        {
            "key": table["key"],
            "label": table["label"],
            "answer": pc.list_element(table["top_labels"], 0),
            "probability": pc.list_element(table["top_probabilities"], 0),
        }
    )


def _answer(row: dict[str, Any]) -> tuple[int, float | None]:
    probability = row["probability"]
    return row["answer"], probability if math.isfinite(probability) else None


def _require_seed(seed: int, known: Collection[int]) -> None:
    if seed not in known:
        raise InvalidRequest(
            f"seed is {seed}; the job's predictions have {listed(known)}.",
            code="unknown_seed",
            param="seed",
        )
