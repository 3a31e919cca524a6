"""What the downloaded weights say, held against what the service said.

The weights are used as a stranger would use them: open_clip and the five lines of the model's
card, nothing of this project.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import pyarrow.parquet as pq
import safetensors.torch
import torch
from PIL import Image

BATCH_SIZE = 250


@dataclass
class DownloadedModel:
    """A model as its card says to load it."""

    model: Any
    preprocess: Any
    head: dict[str, torch.Tensor]
    classes: dict[str, Any]

    def probabilities(
        self, images: Sequence[Image.Image], split: str | None = None
    ) -> torch.Tensor:
        """(N, K) probabilities; for a split of some classes, among those alone."""
        batch = torch.stack([self.preprocess(image) for image in images])
        with torch.inference_mode():
            features = torch.nn.functional.normalize(self.model.encode_image(batch), dim=-1)
        logits = self.head["scale"].float() * features @ self.head["weight"]
        subset = self.classes["class_subsets"].get(split)
        if subset is not None:
            masked = torch.full_like(logits, -torch.inf)
            masked[:, subset] = logits[:, subset]
            logits = masked
        return logits.softmax(dim=-1)


def load_downloaded(tar: Path, directory: Path) -> DownloadedModel:
    """Unpack the tar and load it with open_clip."""
    with tarfile.open(tar) as archive:
        archive.extractall(directory, filter="data")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{directory}")
    head = safetensors.torch.load_file(directory / "head.safetensors")
    classes = json.loads((directory / "classes.json").read_text(encoding="utf-8"))
    return DownloadedModel(model.eval(), preprocess, head, classes)


@dataclass(frozen=True)
class Agreement:
    """How many stored predictions the downloaded weights reproduce."""

    split: str
    images: int
    equal: int


def compare_predictions(
    downloaded: DownloadedModel, archive: Path, predictions: Path, *, model: str, seed: int
) -> list[Agreement]:
    """Every stored prediction of one model, split by split, against the weights' own."""
    table = pq.read_table(predictions, filters=[("model", "=", model), ("seed", "=", seed)])
    stored: dict[str, list[tuple[str, int]]] = {}
    for row in table.select(["split", "key", "top_labels"]).to_pylist():
        stored.setdefault(row["split"], []).append((row["key"], row["top_labels"][0]))
    found = []
    with zipfile.ZipFile(archive) as images:
        for split, answers in stored.items():
            equal = 0
            for part in _chunks(answers):
                batch = [_read(images, key) for key, _ in part]
                predicted = downloaded.probabilities(batch, split).argmax(dim=-1).tolist()
                equal += sum(p == label for p, (_, label) in zip(predicted, part, strict=True))
            found.append(Agreement(split, len(answers), equal))
    return found


def _chunks(items: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]


def _read(archive: zipfile.ZipFile, key: str) -> Image.Image:
    return Image.open(io.BytesIO(archive.read(key))).convert("RGB")
