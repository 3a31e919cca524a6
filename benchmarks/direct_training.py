"""A training called from `core.learning` alone, as a researcher's script would.

    python -m benchmarks.direct_training ARCHIVE FOLDER KNOBS

The archive's images are decoded into the folder first, and the zero-shot head is built, as a
worker's cache has both. What is measured comes then: the model is loaded, trained with validation,
scored on every split and stored. Prints JSON: seconds, and the accuracy at each validation.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from open_clip.transform import PreprocessCfg
from PIL import Image

from core.demo.base_files import BASE
from core.learning.evaluation import accuracy, head_logits, score, split_features
from core.learning.methods import registry
from core.learning.methods.base import TrainingMethod
from core.learning.models import Head, load_directory, save_directory, save_head
from core.learning.pixels import (
    AugmentedBatches,
    EvaluationPixels,
    build_evaluation_pixels,
    build_training_pixels,
    open_evaluation_pixels,
    open_training_pixels,
)
from core.learning.random_text import DrawnTexts
from core.learning.trainer import StepReport, Trainer
from core.learning.zero_shot import DEFAULT_TEMPLATES, build_head

METHOD = "lipsum_ft"
SEED = 0


def main() -> None:
    options = _parse()
    images = _Images(options.archive, options.folder)
    clip = load_directory(BASE)
    images.decode(clip.preprocess_config)
    weight = build_head(clip, images.classes, DEFAULT_TEMPLATES)
    head = Head(weight, clip.scale, images.classes, images.classes, list(DEFAULT_TEMPLATES), {})
    began = time.perf_counter()
    found = _train(images, head, json.loads(options.knobs), options.folder / "model")
    print(json.dumps({"seconds": time.perf_counter() - began, "validations": found}))


class _Images:
    """The archive's splits, decoded."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self._archive, self._folder = archive, folder
        self._names: dict[str, list[str]] = {}
        with zipfile.ZipFile(archive) as files:
            for name in sorted(files.namelist()):
                self._names.setdefault(name.split("/")[0], []).append(name)
        self.classes = sorted({name.split("/")[1] for name in self._names["train"]})

    @property
    def scored(self) -> list[str]:
        return [split for split in self._names if split != "train"]

    @property
    def n_train(self) -> int:
        return len(self._names["train"])

    def decode(self, config: PreprocessCfg) -> None:
        build_training_pixels(self._folder / "train", self._read("train"))
        for split in self.scored:
            build_evaluation_pixels(self._folder / split, self._read(split), config)

    def batches(self, config: PreprocessCfg, recipe: Any) -> AugmentedBatches:
        return AugmentedBatches(
            open_training_pixels(self._folder / "train", self._labels("train")),
            config,
            seed=SEED,
            batch_size=int(recipe.batch_size),
            crop_scale_min=recipe.crop_scale_min,
            flip_probability=recipe.flip_probability,
        )

    def split(self, name: str, config: PreprocessCfg) -> EvaluationPixels:
        names = self._names[name]
        return open_evaluation_pixels(self._folder / name, config, self._labels(name), names)

    def _labels(self, split: str) -> list[int]:
        return [self.classes.index(name.split("/")[1]) for name in self._names[split]]

    def _read(self, split: str) -> Iterator[Image.Image]:
        with zipfile.ZipFile(self._archive) as files:
            for name in self._names[split]:
                yield Image.open(io.BytesIO(files.read(name))).convert("RGB")


def _train(
    images: _Images, head: Head, knobs: dict[str, Any], target: Path
) -> list[tuple[int, float]]:
    clip = load_directory(BASE)
    config = clip.preprocess_config
    kind = registry()[METHOD]
    assert issubclass(kind, TrainingMethod)
    method = kind(kind.resolve(knobs, n_train=images.n_train))
    batches = images.batches(config, method.hyperparameters)
    splits = {name: images.split(name, config) for name in images.scored}
    reports: list[StepReport] = []

    def validate(trained: Head) -> float:
        features = split_features(clip, clip.visual, splits["val"])
        logits = head_logits(features, trained.weight, trained.scale)
        return accuracy(logits, torch.from_numpy(splits["val"].labels))

    trainer = Trainer(clip, head, method, batches, DrawnTexts(clip.text, SEED), seed=SEED)
    run = trainer.run(on_reports=reports.extend, validate=validate)
    batches.close()
    trainer.student.put(run.best.weights)
    for pixels in splits.values():
        features = split_features(clip, clip.visual, pixels)
        logits = head_logits(features, run.best.head.weight, run.best.head.scale)
        score(logits, torch.from_numpy(pixels.labels), pixels.keys, None)
    save_directory(clip, target)
    save_head(run.best.head, target)
    return run.validations


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("knobs", help="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
