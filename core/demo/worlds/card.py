"""The numbers of a worlds' base as files: `pretraining.json`, and the model card made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.demo.base_files import options_in_words, time_in_words


def write_numbers(directory: Path, numbers: dict[str, Any]) -> None:
    """Both files, beside the base's weights."""
    text = json.dumps(numbers, indent=2, sort_keys=True) + "\n"
    (directory / "pretraining.json").write_text(text, encoding="utf-8")
    (directory / "README.md").write_text(model_card(numbers), encoding="utf-8")


def model_card(numbers: dict[str, Any]) -> str:
    """The card of the base whose `pretraining.json` is `numbers`."""
    plan, worlds = numbers["plan"], numbers["worlds"]
    names = " ".join(worlds)
    sections = "\n".join(_section(name, entry) for name, entry in worlds.items())
    (id_low, id_high), (low, high) = numbers["gate"]["first"], numbers["gate"]["shifted"]
    return f"""# A base model for the drawn worlds: {names.replace(" ", ", ")}

The demo's small CLIP ({numbers["parameters"]:,} parameters, patches of {numbers["patch_size"]}) with
the demo's tokenizer, trained on other drawn worlds (`core/demo/worlds`). It has seen nothing else
and is of no use but to compare fine-tuning methods.

## How it was made

`python -m core.demo.worlds.pretrain --worlds {names} --out DIR {options_in_words(plan)}`

Contrastive training of both towers from random weights, as for the demo's base: {plan["steps"]:,}
steps of {plan["batch"]} pictures of all the worlds mixed ({numbers["pictures_seen"]:,} seen), AdamW,
peak rate {plan["peak_rate"]}, weight decay {plan["weight_decay"]}, single precision:
{time_in_words(numbers)}. A caption names the class and, in {numbers["captions_naming_manner"]:.0%} of
the cases, the picture's manner. What the user's data tie to a class (its usual place, its usual
plate) is independent of it in these pictures.

## Zero-shot accuracy, percent

Each world is answered with its own classes, the mean of its own prompts. The gate asks for
{id_low:.0f} to {id_high:.0f} on the first domain and {low:.0f} to {high:.0f} on every other.

{sections}
exp(logit_scale) is {numbers["logit_scale"]:.2f}.
"""  # noqa: E501


def _section(name: str, entry: dict[str, Any]) -> str:
    trained = ", ".join(f"{domain} {count:,}" for domain, count in entry["pictures"].items())
    accuracy = entry["zero_shot_accuracy"]
    rows = [
        f"| {kind} | {domain} | {value:.2f} |"
        for kind, of in (("user's test", "test"), ("held-out web", "web"))
        for domain, value in accuracy[of].items()
    ]
    return "\n".join(
        [
            f"### {name}: {entry['classes']} classes, {entry['templates']} prompts",
            "",
            f"Pictures trained on: {trained}.",
            "",
            "| pictures | domain or manner | accuracy |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
