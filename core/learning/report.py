"""Tables of results and the card that travels with a model.

Both are views of the same rows (seed, model, split, metric, value, low, high, n); nothing is
computed here but means over named splits and spread over seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any


@dataclass(frozen=True)
class ResultRow:
    """One number: a metric of a model on a split, measured with one seed."""

    seed: int
    model: str  # zero_shot, fine_tuned, wise_ft@0.5, or a model id
    split: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Cell:
    """A value and its spread over seeds (None for one seed)."""

    value: float
    spread: float | None


def mean_over_seeds(
    rows: Iterable[ResultRow], model: str, splits: Sequence[str], metric: str
) -> Cell | None:
    """The mean over `splits` of each seed, then mean and standard deviation over seeds.

    None when no seed has every split.
    """
    by_seed: dict[int, dict[str, float]] = {}
    for row in rows:
        if row.model == model and row.metric == metric and row.split in splits:
            by_seed.setdefault(row.seed, {})[row.split] = row.value
    values = [mean(found.values()) for found in by_seed.values() if len(found) == len(splits)]
    if not values:
        return None
    return Cell(mean(values), stdev(values) if len(values) > 1 else None)


def shifted_splits(rows: Iterable[ResultRow]) -> list[str]:
    """Names of the scored splits that are neither training nor ID, in the order they appear."""
    return list(dict.fromkeys(r.split for r in rows if r.split not in ("train", "val", "test")))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is left-aligned, the others right-aligned."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|---|" + "---:|" * (len(header) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class CardFacts:
    """What a model card says beside its results."""

    model_id: str
    row_name: str  # the model's name in the rows
    base_id: str
    method_title: str
    method_citation: str
    hyperparameters: dict[str, Any]
    seed: int
    step: int | None  # of training; None for what was made of finished models
    n_classes: int
    class_subsets: dict[str, list[int]]
    created: str  # date, ISO 8601
    library_version: str
    inputs: Sequence[str] = ()  # the finished models it was made of
    snippet: str | None = None  # how to use it, where it is not one plain model


def model_card(facts: CardFacts, rows: Sequence[ResultRow]) -> str:
    """README.md of a model: front matter that Hugging Face reads, results, how to load it."""
    return "\n".join(
        [
            "---",
            *_front_matter(facts, rows),
            "---",
            "",
            f"# {facts.model_id}",
            "",
            _origin(facts),
            "",
            "## Load it",
            "",
            "```python",
            facts.snippet or _SNIPPET,
            "```",
            "",
            _LOADED,
            "",
            *(["## Results", "", _results(facts, rows), ""] if rows else []),
            "## Settings",
            "",
            "```json",
            json.dumps(facts.hyperparameters, indent=2, sort_keys=True),
            "```",
            "",
        ]
    )


_SNIPPET = """\
import json, open_clip, safetensors.torch, torch
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:.")
head = safetensors.torch.load_file("head.safetensors")
classes = json.load(open("classes.json"))["classes"]
features = torch.nn.functional.normalize(model.eval().encode_image(preprocess(image)[None]), dim=-1)
probabilities = (head["scale"].float() * features @ head["weight"]).softmax(dim=-1)"""

_LOADED = """\
`image` is an RGB PIL image; `probabilities[0, i]` belongs to `classes[i]`. For a split that holds
only some of the classes, keep those columns of the logits that `class_subsets` of `classes.json`
lists."""


def _origin(facts: CardFacts) -> str:
    """Where the model comes from, in a sentence."""
    method = f"{facts.method_title} ({facts.method_citation})"
    if facts.step is None:
        inputs = ", ".join(f"`{name}`" for name in facts.inputs)
        made = f"{method} of {inputs}, fine-tuned from `{facts.base_id}`, seed {facts.seed}"
    else:
        made = (
            f"`{facts.base_id}` after {method}, seed {facts.seed}, the weights of step {facts.step}"
        )
    return f"{made}, {facts.n_classes} classes."


def _front_matter(facts: CardFacts, rows: Sequence[ResultRow]) -> list[str]:
    """YAML as Hugging Face's model-index has it; JSON strings are valid YAML scalars."""
    results = [
        line
        for row in rows
        if row.model == facts.row_name and row.metric == "accuracy"
        for line in (
            "  - task: {type: image-classification}",
            f"    dataset: {{name: {json.dumps(row.split)}, type: custom, "
            f"split: {json.dumps(row.split)}}}",
            f"    metrics: [{{type: accuracy, value: {row.value:.6f}}}]",
        )
    ]
    lines = [
        "library_name: open_clip",
        "pipeline_tag: zero-shot-image-classification",
        "tags: [clip, robust-fine-tuning]",
        f"base_model: {json.dumps(facts.base_id)}",
    ]
    if results:
        lines += ["model-index:", f"- name: {json.dumps(facts.model_id)}", "  results:", *results]
    return lines


def _results(facts: CardFacts, rows: Sequence[ResultRow]) -> str:
    splits = list(dict.fromkeys(row.split for row in rows))
    models = list(dict.fromkeys(row.model for row in rows))
    values = {(row.model, row.split, row.metric): row for row in rows}
    body = []
    for split in splits:
        subset = facts.class_subsets.get(split)
        name = split if subset is None else f"{split} ({len(subset)} classes)"
        for model in models:
            found = values.get((model, split, "accuracy"))
            if found is None:
                continue
            nll = values[(model, split, "nll")].value
            ece = values[(model, split, "ece")].value
            interval = f"{100 * (found.low or 0):.1f} to {100 * (found.high or 0):.1f}"
            body.append(
                (
                    name,
                    model,
                    f"{100 * found.value:.2f}",
                    interval,
                    f"{nll:.4f}",
                    f"{ece:.4f}",
                    str(found.n),
                )
            )
    return markdown_table(
        ("split", "model", "top-1 %", "95 % interval", "NLL", "ECE", "images"), body
    )
