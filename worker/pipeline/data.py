"""A job's splits as pixels: which images each holds, decoded once and kept by content."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from open_clip.transform import PreprocessCfg
from PIL import Image

from core.datasets.archive import open_archive
from core.datasets.images import decode
from core.datasets.index import DatasetIndex, IndexEntry
from core.datasets.validation_split import hold_out
from core.errors import InvalidDataset
from core.jobs.spec import VALIDATION_FRACTION, DatasetReference, JobSpec, SplitReference
from core.learning.pixels import (
    EvaluationPixels,
    EvaluationTransform,
    TrainingPixels,
    build_training_pixels,
    open_evaluation_pixels,
    open_training_pixels,
    write_evaluation_pixels,
)
from core.learning.shifts import REVISION, corrupt, parse_shift_name, shift_name
from core.learning.zero_shot import DEFAULT_TEMPLATES
from worker.pipeline.workspace import Workspace

SHIFT_SEED = 0  # of built-in shifts in every job: two jobs show one image alike
Made = TypeVar("Made")
_DECODING_AHEAD = 64  # images decoded before they are asked for
_NAMED = 20  # files that an event lists


@dataclass(frozen=True)
class Split:
    """One split: its images in order, with their labels as columns of the head."""

    name: str
    reference: DatasetReference
    entries: list[IndexEntry]
    labels: list[int]
    subset: list[int] | None  # columns this split can hold; None when it holds every class
    selection: bool = False
    shift: tuple[str, int] | None = None  # corruption and severity its images are shown under

    @property
    def keys(self) -> list[str]:
        return [entry.key for entry in self.entries]

    @property
    def groups(self) -> list[str] | None:
        """Each image's group; None unless all have one."""
        found = [entry.group for entry in self.entries if entry.group is not None]
        return found if len(found) == len(self.entries) else None


@dataclass(frozen=True)
class JobData:
    """Classes and splits of a job. `train` is absent when a job only scores."""

    class_keys: list[str]  # folder names, in column order
    classes: list[str]  # readable names, in column order
    templates: list[str]
    train: Split | None
    scored: list[Split]  # val first, where there is one; test, shifted splits, built-in shifts

    @property
    def validation(self) -> Split:
        """The ID split that chooses the checkpoint. Raises KeyError when there is none."""
        return {split.name: split for split in self.scored}["val"]

    @property
    def selecting(self) -> list[Split]:
        """Splits that choose the checkpoint: `val`, and those the user marked."""
        return [split for split in self.scored if split.name == "val" or split.selection]

    @property
    def by_images(self) -> list[list[Split]]:
        """The scored splits, those together that show the same images: one clean, the others
        under built-in shifts."""
        found: dict[tuple[str, ...], list[Split]] = {}
        for split in self.scored:
            found.setdefault(tuple(_digests(split)), []).append(split)
        return list(found.values())


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
    data = JobData(
        class_keys=class_keys,
        classes=[index.readable_names.get(key, key) for key in class_keys],
        templates=list(index.templates or DEFAULT_TEMPLATES),
        train=train,
        scored=[*(splits[name] for name in order), *_shifted(spec, splits)],
    )
    _announce(workspace, data)
    return data


def evaluation_pixels(
    workspace: Workspace, split: Split, config: PreprocessCfg
) -> EvaluationPixels:
    """The split as the validation transform leaves it, from the cache or made now."""
    path = _evaluation_path(workspace, split, config)
    if not path.is_file():
        make_evaluation_pixels(workspace, [split], config)
    os.utime(path)
    return open_evaluation_pixels(path, config, split.labels, split.keys)


def make_evaluation_pixels(
    workspace: Workspace,
    splits: Sequence[Split],
    config: PreprocessCfg,
    progress: Callable[[float], None] = lambda done: None,
) -> None:
    """Make what the cache lacks of splits that show the same images, decoding each image once.

    A built-in shift changes the whole decoded image, before the model's transform. `progress` is
    called with the share of the images that is done.
    """
    paths = {_evaluation_path(workspace, split, config): split.shift for split in splits}
    missing = {path: shift for path, shift in paths.items() if not path.is_file()}
    if not missing:
        return
    transform = EvaluationTransform(config)
    ahead = max(os.cpu_count() or 1, _DECODING_AHEAD // len(missing))  # rows are held in memory

    def show(entry: IndexEntry, image: Image.Image) -> list[np.ndarray]:
        return [transform(_under(shift, image, entry)) for shift in missing.values()]

    def rows() -> Iterator[list[np.ndarray]]:
        for number, row in enumerate(each_image(workspace, splits[0], show, ahead), start=1):
            yield row
            progress(number / len(splits[0].entries))

    write_evaluation_pixels(list(missing), rows())


def training_pixels(workspace: Workspace, split: Split) -> TrainingPixels:
    """The split's whole images, from the cache or made now."""
    path = workspace.cache_path("training-pixels", *_content(split))
    if not path.is_file():
        build_training_pixels(path, each_image(workspace, split, lambda entry, image: image))
    os.utime(path)
    return open_training_pixels(path, split.labels)


def content_of(split: Split) -> str:
    """A name for exactly these images in this order, for caches of what is computed from them."""
    return "\0".join(_content(split))


def each_image(
    workspace: Workspace,
    split: Split,
    work: Callable[[IndexEntry, Image.Image], Made],
    ahead: int = _DECODING_AHEAD,
) -> Iterator[Made]:
    """`work` on each decoded image, in the split's order, done ahead by a few threads.

    The archive is read once, in its own order where the split has the same; Pillow and NumPy
    release the interpreter lock while they decode and compute.
    """
    limits = workspace.limits

    def done(entry: IndexEntry, data: bytes) -> Made:
        return work(entry, decode(data, limits))

    with (
        open_archive(workspace.archive(split.reference), limits) as archive,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        waiting: deque[Future[Made]] = deque()
        for entry in split.entries:
            workspace.reporter.stop.check()
            waiting.append(pool.submit(done, entry, archive.read(entry.key)))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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


def _shifted(spec: JobSpec, splits: Mapping[str, Split]) -> list[Split]:
    """The job's built-in shifts, made of its ID split. They never choose a checkpoint."""
    if not spec.corruptions:
        return []
    source = splits[spec.id_split or "test"]
    return [
        replace(source, name=name, selection=False, shift=parse_shift_name(name))
        for name in spec.corruptions
    ]


def _announce(workspace: Workspace, data: JobData) -> None:
    """What a reader of the table must know of the splits themselves."""
    for split in data.scored:
        if split.shift is not None:
            continue  # as the split that it is made of
        if split.subset is not None:
            workspace.reporter.event(
                f"{split.name} holds {len(split.subset)} of {len(data.classes)} classes and is "
                "scored among those",
                split=split.name,
                classes=[data.class_keys[column] for column in split.subset],
            )
        alone = [entry.key for entry in split.entries if entry.group is None]
        if 0 < len(alone) < len(split.entries):
            workspace.reporter.warn(
                f"{len(alone)} of {len(split.entries)} images of {split.name} have no group in "
                f"groups.csv, the first is {alone[0]}; worst_group is left out there",
                split=split.name,
                files=alone[:_NAMED],
            )


def _evaluation_path(workspace: Workspace, split: Split, config: PreprocessCfg) -> Path:
    return workspace.cache_path("evaluation-pixels", repr(config), *_content(split))


def _content(split: Split) -> list[str]:
    if split.shift is None:
        return _digests(split)
    return [
        *_digests(split),
        shift_name(*split.shift),
        f"seed {SHIFT_SEED}",
        f"revision {REVISION}",
    ]


def _digests(split: Split) -> list[str]:
    return [entry.pixel_digest for entry in split.entries]


def _under(shift: tuple[str, int] | None, image: Image.Image, entry: IndexEntry) -> Image.Image:
    if shift is None:
        return image
    return corrupt(image, *shift, seed=SHIFT_SEED, key=entry.pixel_digest)
