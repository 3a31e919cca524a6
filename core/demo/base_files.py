"""The base as files: open_clip's configuration, weights in half precision, tokenizer, card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor

from core.demo.captions import DOMAINS
from core.demo.shapes import CLASSES
from core.demo.vocabulary import CONTEXT_LENGTH, VOCABULARY_SIZE, write_tokenizer
from core.demo.world import IMAGE_SIZE

Tokenizer = Callable[[list[str]], Tensor]

BASE = Path(__file__).parent / "base"
"""The pre-trained base that ships with the service."""

MODEL_CFG: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": IMAGE_SIZE,
        "patch_size": 6,
        "width": 96,
        "layers": 3,
        "head_width": 32,
        "pool_type": "avg",
    },
    "text_cfg": {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": VOCABULARY_SIZE,
        # Any name will do: for a local directory open_clip reads the tokenizer beside the weights.
        "hf_tokenizer_name": "lipsum-demo-base",
        "width": 128,
        "heads": 4,
        "layers": 2,
    },
}

PREPROCESS_CFG: dict[str, Any] = {
    "mean": list(OPENAI_DATASET_MEAN),
    "std": list(OPENAI_DATASET_STD),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def new_model() -> CLIP:
    """The base's architecture with fresh weights."""
    text_cfg = {k: v for k, v in MODEL_CFG["text_cfg"].items() if k != "hf_tokenizer_name"}
    return CLIP(MODEL_CFG["embed_dim"], MODEL_CFG["vision_cfg"], text_cfg)


def write_model(directory: Path, model: CLIP) -> None:
    """Configuration, weights and tokenizer, so that open_clip's `local-dir:` loads them."""
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory)
    config = {"model_cfg": MODEL_CFG, "preprocess_cfg": PREPROCESS_CFG}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (directory / "open_clip_config.json").write_text(text, encoding="utf-8")
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    weights = directory / "open_clip_model.safetensors"
    save_file(halves, weights, metadata={"format": "pt"})
    # safetensors writes for the owner alone; the base is meant to be read like its other files.
    weights.chmod(0o644)


def write_numbers(directory: Path, numbers: dict[str, Any]) -> None:
    """`pretraining.json`, and the model card made of it."""
    text = json.dumps(numbers, indent=2, sort_keys=True) + "\n"
    (directory / "pretraining.json").write_text(text, encoding="utf-8")
    (directory / "README.md").write_text(model_card(numbers), encoding="utf-8")


def model_card(numbers: dict[str, Any]) -> str:
    """The card of the base whose `pretraining.json` is `numbers`."""
    plan, accuracy = numbers["plan"], numbers["zero_shot_accuracy"]
    rows = "\n".join(
        f"| {domain} | {numbers['pictures'][domain]:,} | "
        f"{accuracy['pretrain_validation'][domain]:.2f} | {accuracy['demo_test'][domain]:.2f} |"
        for domain in DOMAINS
    )
    low, high = numbers["gate"]
    return f"""# The demo's base model

A CLIP small enough for a laptop's processor: {numbers["parameters"]:,} parameters, native open_clip
towers (a vision transformer on {IMAGE_SIZE} px pictures in patches of {numbers["patch_size"]}, a
causal text transformer over {VOCABULARY_SIZE} byte-level pieces), weights stored in half precision.

    open_clip.create_model_and_transforms("local-dir:core/demo/base")
    open_clip.get_tokenizer("local-dir:core/demo/base")

It exists to show what fine-tuning on one domain does to the others and is of no other use: it has
seen nothing but the drawn world of `core/demo/world.py`, {len(CLASSES)} kinds of thing in five
manners, and knows only the words of that world's captions.

## How it was made

`python -m core.demo.pretrain --out core/demo/base {options_in_words(plan)}`

Contrastive training of both towers from random weights on captioned pictures of all five domains;
a caption names the thing and, in {numbers["captions_naming_domain"]:.0%} of the cases, the manner,
and every matching pair in a batch counts as a positive. {plan["steps"]:,} steps of {plan["batch"]}
pictures ({numbers["pictures_seen"]:,} seen, slid up to two pixels and mirrored at random), AdamW,
peak rate {plan["peak_rate"]}, {plan["warmup_steps"]} steps of warm-up, then a cosine to zero,
weight decay {plan["weight_decay"]}, single precision, seed {plan["seed"]}:
{time_in_words(numbers)}.

The photographs it was trained on have no habits; in those of the demo's own `train` and `test` a
thing has its usual colour, and its usual place, at rate {numbers["habit"]} each. That is what
fine-tuning on them can gain from and what fails it elsewhere.

## Zero-shot accuracy, percent

The mean of {numbers["templates"]} prompts a class; the demo's test draws share no picture with
pre-training. The gate asks for {low:.0f} to {high:.0f} on every domain of the demo's test.

| domain | pictures trained on | held-out web draws | demo test draws |
|---|---|---|---|
{rows}

exp(logit_scale) is {numbers["logit_scale"]:.2f}.
"""


def options_in_words(plan: dict[str, Any]) -> str:
    """The options that the command which trained a base was given for its stored plan."""
    device = plan.get("device", "cpu")
    options = f"--steps {plan['steps']} --seed {plan['seed']}"
    return options if device == "cpu" else f"{options} --device {device}"


def time_in_words(numbers: dict[str, Any]) -> str:
    """How long a base's training took, and on what machine."""
    if "gpu" in numbers:
        return f"{numbers['seconds']} seconds on one GPU\n({numbers['gpu']})"
    minutes = f"{numbers['seconds'] / 60:.0f} minutes"
    return f"{minutes} on {numbers['cores']} shared processor cores\n({numbers['processor']})"


def to_pixels(images_NHWC: NDArray[np.uint8]) -> Tensor:
    """What open_clip's transform makes of pictures that already have the model's size."""
    pixels = torch.from_numpy(np.ascontiguousarray(images_NHWC)).permute(0, 3, 1, 2).float()
    mean = torch.tensor(OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(OPENAI_DATASET_STD).view(1, 3, 1, 1)
    return (pixels / 255.0 - mean) / deviation


def load_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer in a base's directory, as open_clip finds it."""
    tokenizer: Tokenizer = open_clip.get_tokenizer(f"local-dir:{directory}")
    return tokenizer
