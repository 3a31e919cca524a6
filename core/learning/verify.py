"""Replaying recorded training steps through the trainer that jobs run in.

A file of reference values (the layout is documented in `tests/data/README.md`) holds a small
model, the images, labels and random texts of a few steps, and what the official Lipsum-FT step
returned for them. `verify` feeds them to the production `Trainer` with the production
`LipsumFT` and reports the largest error of each quantity against a stated limit.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor

from core.learning.methods.lipsum_ft import LipsumFT
from core.learning.models import Clip, Head
from core.learning.trainer import Trainer

RELATIVE_LIMIT = 1e-4  # loss and its parts, gradient and weight norm, learning rate of every step
HEAD_LIMIT = 1e-6  # absolute, the final head
TOWER_LIMIT = 1e-5  # absolute, the final image tower
# Attention's input biases hold the key's, whose true gradient is zero: Adam turns rounding
# there into steps of full size, so they may differ more. Absolute.
ATTENTION_BIAS_LIMIT = 5e-4
SMALLEST_PENALTY = 1e-6  # below this the recorded penalty is rounding and is not compared


class NotReferenceFile(ValueError):
    """The file is not one of reference values, saying what it lacks."""


@dataclass(frozen=True)
class Comparison:
    """The largest error of one quantity over all steps or tensors."""

    quantity: str
    error: float
    limit: float
    where: str

    @property
    def ok(self) -> bool:
        return self.error <= self.limit  # NaN compares false


def verify(path: Path) -> list[Comparison]:
    """Replay the file in float32 on the CPU and compare every recorded quantity.

    Raises `NotReferenceFile` when the file cannot be one.
    """
    recorded = _Recording(path)
    clip = recorded.clip()
    head = Head(torch.from_numpy(recorded["init_head"]), clip.scale, [], [], [], {})
    method = LipsumFT(recorded.hyperparameters())
    trainer = Trainer(clip, head, method, recorded, recorded)
    worst: dict[str, Comparison] = {}
    for step in range(recorded.n_steps):
        before = _weight_norm(
            trainer
        )  # the official step reports that of the weights it began with
        seen = {name: float(value) for name, value in trainer.train_step().items()}
        seen["weight_norm"] = before
        seen.setdefault("penalty", 0.0)  # lambda 0 leaves the penalty out altogether
        for comparison in recorded.compare_step(step, seen):
            _keep_worst(worst, comparison)
    state = trainer.state(None)
    for comparison in recorded.compare_weights(state.weights, state.head.weight):
        _keep_worst(worst, comparison)
    return list(worst.values())


class _Recording:
    """The file, as the source of a run's batches and random texts."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as archive:
                self._arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
            self.config: dict[str, Any] = json.loads(str(self._arrays["config"]))
        except (OSError, ValueError, KeyError) as fault:
            raise NotReferenceFile(f"{path} is not a file of reference values: {fault}") from fault
        self.n_steps = 0
        while f"step{self.n_steps}/images" in self._arrays:
            self.n_steps += 1
        if self.n_steps == 0:
            raise NotReferenceFile(f"{path} holds no step: step0/images is missing")

    def __getitem__(self, name: str) -> Any:
        try:
            return self._arrays[name]
        except KeyError:
            raise NotReferenceFile(f"the file lacks {name!r}") from None

    def clip(self) -> Clip:
        """The recorded model, with OpenAI's mean and standard deviation."""
        model = open_clip.CLIP(**self.config["model"])
        state = self._group("init/")
        missing, unexpected = model.load_state_dict(
            {name: torch.from_numpy(np.asarray(value)) for name, value in state.items()},
            strict=False,
        )
        if missing or unexpected:
            raise NotReferenceFile(f"init/ lacks {missing} and has {unexpected} too many")
        size = self.config["model"]["vision_cfg"]["image_size"]
        config = {
            "model_cfg": self.config["model"],
            "preprocess_cfg": {
                "size": size,
                "mean": open_clip.OPENAI_DATASET_MEAN,
                "std": open_clip.OPENAI_DATASET_STD,
            },
        }
        return Clip(model, open_clip.SimpleTokenizer(), config, {})

    def hyperparameters(self) -> dict[str, Any]:
        """The recorded recipe under the names of `LipsumHyperparameters`."""
        recipe = self.config
        batch_size = len(self["step0/labels"])
        return {
            "learning_rate": recipe["peak_lr"],
            "batch_size": batch_size,
            "micro_batch_size": batch_size,
            "n_epochs": 1,
            "n_steps": recipe["total_steps"],
            "warmup_steps": recipe["warmup_steps"],
            "weight_decay": recipe["weight_decay"],
            "beta1": recipe["betas"][0],
            "beta2": recipe["betas"][1],
            "epsilon": recipe["eps"],
            "label_smoothing": recipe["label_smoothing"],
            "clip_norm": recipe["clip_norm"] or None,
            "precision": "fp32",
            "penalty_weight": recipe["lambda"],
            "n_texts": recipe["num_texts"],
            "text_length": recipe["text_length"],
        }

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self[f"step{step}/images"]).permute(0, 3, 1, 2).float()
        mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
        std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
        labels = torch.from_numpy(self[f"step{step}/labels"].astype(np.int64))
        return (images - mean) / std, labels

    def token_ids(self, step: int, n_texts: int, length: int) -> Tensor:
        return torch.from_numpy(self[f"step{step}/token_ids"].astype(np.int64))

    def compare_step(self, step: int, seen: dict[str, float]) -> list[Comparison]:
        names = {
            "loss": "loss",
            "cross_entropy": "negative_log_likelihood",
            "penalty": "feat_regularization",
            "gradient_norm": "g_norm",
            "weight_norm": "w_norm",
            "learning_rate": "lr",
        }
        found = []
        for ours, theirs in names.items():
            expected = float(self[f"step{step}/expected/{theirs}"])
            if ours == "penalty" and (expected <= SMALLEST_PENALTY or self.config["lambda"] == 0):
                continue
            error = abs(seen[ours] - expected) / abs(expected) if expected else abs(seen[ours])
            found.append(Comparison(ours, error, RELATIVE_LIMIT, f"step {step}, relative"))
        return found

    def compare_weights(self, weights: dict[str, Tensor], head: Tensor) -> list[Comparison]:
        expected_head = torch.from_numpy(self["final_head"])
        found = [Comparison("head", _distance(head, expected_head), HEAD_LIMIT, "absolute")]
        for name, value in self._group("final/").items():
            ours = weights.get(f"visual.{name.removeprefix('visual.')}")
            if ours is None:
                raise NotReferenceFile(f"final/{name} is not a tensor of the image tower")
            error = _distance(ours, torch.from_numpy(np.asarray(value)))
            if name.endswith("attn.in_proj_bias"):
                quantity, limit = "attention input biases", ATTENTION_BIAS_LIMIT
            else:
                quantity, limit = "image tower", TOWER_LIMIT
            found.append(Comparison(quantity, error, limit, f"{name}, absolute"))
        return found

    def _group(self, prefix: str) -> dict[str, Any]:
        found = {k.removeprefix(prefix): v for k, v in self._arrays.items() if k.startswith(prefix)}
        if not found:
            raise NotReferenceFile(f"the file has no {prefix}* arrays")
        return found


def _weight_norm(trainer: Trainer) -> float:
    """Of the image tower, the head and the logit scale, which the official step counts although
    it never changes."""
    student = trainer.student
    scale: Tensor = student.clip.model.logit_scale  # type: ignore[assignment]
    counted: list[Tensor] = [scale, student.head, *student.clip.visual.parameters()]
    return math.sqrt(sum(float(tensor.detach().double().square().sum()) for tensor in counted))


def _distance(ours: Tensor, expected: Tensor) -> float:
    if ours.shape != expected.shape:
        return float("inf")
    return float((ours.double() - expected.double()).abs().max())


def _keep_worst(worst: dict[str, Comparison], comparison: Comparison) -> None:
    held = worst.get(comparison.quantity)
    if held is None or math.isnan(comparison.error) or comparison.error > held.error:
        worst[comparison.quantity] = comparison
