"""What the runs of a job begin from: theta0 and its head, the images, a trainer for each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from core.learning.class_balance import class_weights
from core.learning.models import Clip, Head, load_directory, load_head, pick_device
from core.learning.pixels import AugmentedBatches
from core.learning.random_text import DrawnTexts
from core.learning.states import StoredTensors, put_tensors, tensors_of
from core.learning.student import Start
from core.learning.trainer import Trainer
from core.learning.zero_shot import build_head
from worker.pipeline.data import JobData, load_data, training_pixels
from worker.pipeline.features import cached_head
from worker.pipeline.plan import PlannedRun
from worker.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Beginnings:
    """Of one job, in one process: every process that shares its steps has its own, all equal."""

    workspace: Workspace
    data: JobData
    clip: Clip
    head0: Head
    theta0: dict[str, Tensor]

    @classmethod
    def open(cls, workspace: Workspace) -> Beginnings:
        """Raises `core.errors.InvalidDataset` and what the object store raises."""
        data = load_data(workspace)
        directory = workspace.model_directory(workspace.spec.theta0)
        clip = load_directory(directory).to(pick_device(workspace.settings.device))
        head0 = starting_head(clip, data, load_head(directory), partial(_kept_head, workspace))
        # Whatever head trains from here on, the line to it begins at this one.
        theta0 = tensors_of(clip, replace(head0, from_text=False))
        return cls(workspace, data, clip, head0, theta0)

    @contextmanager
    def trainer(self, run: PlannedRun, on_halved: Callable[[int, int], None]) -> Iterator[Trainer]:
        """A run before its first step, by as many processes as have met."""
        start = self._start(run)
        put_tensors(self.clip, self.theta0)
        recipe, seed = run.method.hyperparameters, run.own_seed
        assert self.data.train is not None  # a training job was refused without one
        weights = None
        if recipe.class_balance == "loss":
            weights = class_weights(self.data.train.labels, len(self.data.classes))
        batches = AugmentedBatches(
            training_pixels(self.workspace, self.data.train),
            self.clip.preprocess_config,
            seed=seed,
            batch_size=int(recipe.batch_size),
            crop_scale_min=recipe.crop_scale_min,
            flip_probability=recipe.flip_probability,
            balanced=recipe.class_balance == "sampling",
        )
        try:
            yield Trainer(
                self.clip,
                self.head0,
                run.method,
                batches,
                DrawnTexts(self.clip.text, seed) if run.method.needs_random_texts else None,
                seed=seed,
                start=start,
                class_weights=weights,
                repeatable=self.workspace.settings.deterministic,
                on_halved=on_halved,
            )
        finally:
            batches.close()

    def _start(self, run: PlannedRun) -> Start | None:
        """What the run begins from, where that is not theta0: the weights of a stored model, and
        its head where it has one for exactly these classes, else one built from its text tower."""
        if run.start is None:
            return None
        directory = self.workspace.model_directory(run.start)
        head, trains_head = load_head(directory), "head" in run.method.trains
        weights = StoredTensors(directory)
        if not trains_head:
            return Start(weights, None)
        if head is not None and head.class_keys == self.data.class_keys:
            return Start(weights, head.weight)
        put_tensors(self.clip, weights)
        return Start(weights, build_head(self.clip, self.data.classes, self.data.templates))


def starting_head(
    clip: Clip,
    data: JobData,
    own: Head | None,
    build: Callable[[Clip, Sequence[str], Sequence[str]], Tensor] = build_head,
) -> Head:
    """Theta0's own head where it has one for exactly these classes, else the zero-shot head."""
    if own is not None and own.class_keys == data.class_keys:
        return own
    weight = build(clip, data.classes, data.templates)
    subsets = {split.name: split.subset for split in data.scored if split.subset is not None}
    return Head(weight, clip.scale, data.classes, data.class_keys, data.templates, subsets)


def _kept_head(
    workspace: Workspace, clip: Clip, classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Of theta0, whose weights the model holds."""
    return cached_head(workspace, clip, workspace.spec.theta0.sha256, classes, templates)
