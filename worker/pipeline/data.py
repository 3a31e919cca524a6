"""A job's splits as pixels: which images each holds, decoded once and kept by content."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from open_clip.transform import PreprocessCfg
from PIL import Image

from core.datasets.archive import open_archive
from core.datasets.images import decode
from core.datasets.index import DatasetIndex, IndexEntry
from core.datasets.validation_split import hold_out
from core.errors import InvalidDataset
from core.jobs.spec import VALIDATION_FRACTION, DatasetReference, SplitReference
from core.learning.pixels import (
    EvaluationPixels,
    TrainingPixels,
    build_evaluation_pixels,
    build_training_pixels,
    open_evaluation_pixels,
    open_training_pixels,
)
from core.learning.zero_shot import DEFAULT_TEMPLATES
from worker.pipeline.workspace import Workspace

_DECODING_AHEAD = 64  # images decoded before they are asked for


@dataclass(frozen=True)
class Split:
    """One split: its images in order, with their labels as columns of the head."""

    name: str
    reference: DatasetReference
    entries: list[IndexEntry]
    labels: list[int]
    subset: list[int] | None  # columns this split can hold; None when it holds every class
    selection: bool = False

    @property
    def keys(self) -> list[str]:
        return [entry.key for entry in self.entries]


@dataclass(frozen=True)
class JobData:
    """Classes and splits of a job. `train` is absent when a job only scores."""

    class_keys: list[str]  # folder names, in column order
    classes: list[str]  # readable names, in column order
    templates: list[str]
    train: Split | None
    scored: list[Split]  # val first, where there is one; then test and the shifted splits

    @property
    def validation(self) -> Split:
        """The ID split that chooses the checkpoint. Raises KeyError when there is none."""
        return next(split for split in self.scored if split.name == "val")

    @property
    def selecting(self) -> list[Split]:
        """Splits that choose the checkpoint: `val`, and those the user marked."""
        return [split for split in self.scored if split.name == "val" or split.selection]


def load_data(workspace: Workspace) -> JobData:
    """The job's splits as its indexes have them, a validation slice cut off where needed."""
    spec = workspace.spec
    indexes = {reference.version: workspace.index(reference) for reference in spec.datasets}
    train_reference = spec.split("train") or spec.splits[0]
    index = indexes[train_reference.version]
    trained = {entry.class_name for entry in index.entries_of(train_reference.archive_split)}
    class_keys = [key for key in index.classes if key in trained]
    columns = {key: column for column, key in enumerate(class_keys)}
    splits = {
        split.name: _split(workspace, split, indexes[split.version], columns)
        for split in spec.splits
    }
    train = splits.pop("train", None)
    if train is not None and "val" not in splits:
        train, splits["val"] = _cut_validation(train, spec.slice_seed)
        workspace.reporter.event(
            f"no val split: {len(splits['val'].entries)} of the training images are held out",
            seed=spec.slice_seed,
        )
        if not spec.held_out_is_new:
            workspace.reporter.warn(
                "one of the models was trained on some of the held-out images: its scores on val "
                "are too good"
            )
    order = sorted(splits, key=lambda name: {"val": 0, "test": 1}.get(name, 2))
    return JobData(
        class_keys=class_keys,
        classes=[index.readable_names.get(key, key) for key in class_keys],
        templates=list(index.templates or DEFAULT_TEMPLATES),
        train=train,
        scored=[splits[name] for name in order],
    )


def evaluation_pixels(
    workspace: Workspace, split: Split, config: PreprocessCfg
) -> EvaluationPixels:
    """The split as the validation transform leaves it, from the cache or made now."""
    path = workspace.cache_path("evaluation-pixels", repr(config), *_content(split))
    if not path.is_file():
        build_evaluation_pixels(path, _images(workspace, split), config)
    os.utime(path)
    return open_evaluation_pixels(path, config, split.labels, split.keys)


def training_pixels(workspace: Workspace, split: Split) -> TrainingPixels:
    """The split's whole images, from the cache or made now."""
    path = workspace.cache_path("training-pixels", *_content(split))
    if not path.is_file():
        build_training_pixels(path, _images(workspace, split))
    os.utime(path)
    return open_training_pixels(path, split.labels)


def content_of(split: Split) -> str:
    """A name for exactly these images in this order, for caches of what is computed from them."""
    return "\0".join(_content(split))


def _split(
    workspace: Workspace, reference: SplitReference, index: DatasetIndex, columns: dict[str, int]
) -> Split:
    entries = index.entries_of(reference.archive_split)
    unknown = sorted({entry.class_name for entry in entries} - columns.keys())
    if unknown:
        raise InvalidDataset(
            f"split {reference.name!r} has classes that train does not have: "
            f"{', '.join(unknown[:5])}",
            code="unknown_class",
            param=reference.name,
        )
    labels = [columns[entry.class_name] for entry in entries]
    held = sorted(set(labels))
    subset = None if len(held) == len(columns) else held
    dataset = workspace.spec.dataset(reference.version)
    return Split(reference.name, dataset, list(entries), labels, subset, reference.selection)


def _cut_validation(train: Split, seed: int) -> tuple[Split, Split]:
    kept, held_out = hold_out(train.entries, VALIDATION_FRACTION, seed)
    columns = {
        entry.class_name: label for entry, label in zip(train.entries, train.labels, strict=True)
    }

    def part(name: str, entries: Sequence[IndexEntry]) -> Split:
        labels = [columns[entry.class_name] for entry in entries]
        return Split(name, train.reference, list(entries), labels, None)

    return part("train", kept), part("val", held_out)


def _content(split: Split) -> list[str]:
    return [entry.pixel_digest for entry in split.entries]


def _images(workspace: Workspace, split: Split) -> Iterator[Image.Image]:
    """Decoded images in the split's order, decoded ahead by a few threads.

    The archive is read once, in its own order where the split has the same; Pillow releases
    the interpreter lock while it decodes.
    """
    limits = workspace.limits
    with (
        open_archive(workspace.archive(split.reference), limits) as archive,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        waiting: deque[Future[Image.Image]] = deque()
        for entry in split.entries:
            waiting.append(pool.submit(decode, archive.read(entry.key), limits))
            if len(waiting) > _DECODING_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
