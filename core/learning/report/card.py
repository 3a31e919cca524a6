"""The card that travels with a model: README.md as Hugging Face reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.learning.report.notes import notes
from core.learning.report.protocol import Protocol, RobustnessLine
from core.learning.report.rows import ResultRow
from core.learning.report.tables import Tables


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
    step: int | None  # of training; None for what lies between steps' or models' weights
    n_classes: int
    class_subsets: dict[str, list[int]]
    created: str  # date, ISO 8601
    library_version: str
    protocol: Protocol = field(default_factory=Protocol)
    lines: Sequence[RobustnessLine] = ()
    inputs: Sequence[str] = ()  # the finished models it was made of
    start_id: str | None = None  # the model that training began from, where not from the base
    snippet: str | None = None  # how to use it, where it is not one plain model


def model_card(facts: CardFacts, rows: Sequence[ResultRow]) -> str:
    """README.md of a model: front matter that Hugging Face reads, how to load it, results.

    `rows` are the model's and those that it is compared with, of one seed.
    """
    return "\n".join(
        [
            "---",
            *_front_matter(facts, rows),
            "---",
            "",
            f"# {facts.model_id}",
            "",
            f"{_origin(facts)}{_chosen(facts)}",
            "",
            "## Load it",
            "",
            "```python",
            facts.snippet or _SNIPPET,
            "```",
            "",
            _LOADED,
            "",
            *(["## Results", "", *_results(facts, rows)] if rows else []),
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
    seed, classes = f"seed {facts.seed}", f"{facts.n_classes} classes"
    if facts.inputs:
        inputs = ", ".join(f"`{name}`" for name in facts.inputs)
        return f"{method} of {inputs}, fine-tuned from `{facts.base_id}`, {seed}, {classes}."
    begun = "" if facts.start_id is None else f" begun from the weights of `{facts.start_id}`,"
    weights = "" if facts.step is None else f" the weights of step {facts.step},"
    return f"`{facts.base_id}` after {method},{begun} {seed},{weights} {classes}."


def _front_matter(facts: CardFacts, rows: Sequence[ResultRow]) -> list[str]:
    """YAML as Hugging Face's model-index has it; JSON strings are valid YAML scalars."""
    results = [
        line
        for row in rows
        if row.model == facts.row_name and row.metric == "accuracy"
        for line in (
            "  - task: {type: image-classification}",
            f"    dataset: {{name: {json.dumps(_dataset_name(facts, row))}, type: custom, "
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


def _dataset_name(facts: CardFacts, row: ResultRow) -> str:
    """The split's name, which says when selection touched its figures."""
    if not facts.protocol.touched(row.model, row.split):
        return row.split
    chosen = facts.protocol.chosen(row.model)
    how = f"selected on {', '.join(chosen)}" if chosen else "selection"
    return f"{row.split} ({how})"


def _chosen(facts: CardFacts) -> str:
    chosen = facts.protocol.chosen(facts.row_name)
    if not chosen:
        return ""
    return (
        f" It was chosen with {' and '.join(chosen)}, which the user marked for selection: all its "
        "figures are optimistic."
    )


def _results(facts: CardFacts, rows: Sequence[ResultRow]) -> list[str]:
    tables = Tables(rows, facts.protocol, facts.lines, facts.class_subsets)
    parts = {
        "Accuracy": tables.accuracy(),
        "Calibration, and distance from zero-shot": "\n\n".join(
            part for part in (tables.calibration(), tables.temperatures()) if part
        ),
        "Averages": tables.averages(),
        "Built-in corruptions": tables.corruptions(facts.row_name),
        "Effective robustness": tables.robustness(),
    }
    shown = [
        line for title, part in parts.items() if part for line in (f"### {title}", "", part, "")
    ]
    said = [f"- {note}" for note in notes(rows, facts.protocol, facts.lines)]
    return [*shown, *(["### How to read this", "", *said, ""] if said else [])]
