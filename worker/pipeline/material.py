"""What a combination asks for, answered from a job's models and images.

One set of towers holds one model's weights at a time; every method puts in what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.errors import InvalidSpec
from core.jobs.spec import ModelReference
from core.learning.combine.base import Answers, Candidate, Loss
from core.learning.evaluation import head_logits, mask_columns
from core.learning.fisher import diagonal_fisher
from core.learning.functional import FunctionalClassifier
from core.learning.merging import CannotCombine, State, check_heads
from core.learning.models import Clip, Head, load_head
from core.learning.pixels import normalise
from core.learning.randomness import batch_samples, generator
from core.learning.states import StoredTensors, head_for, put_tensors
from worker.pipeline.data import JobData, Split, evaluation_pixels
from worker.pipeline.features import cached_features
from worker.pipeline.scoring import FeaturesOf, Scoreboard
from worker.pipeline.workspace import Workspace

FISHER_IMAGES = 1024  # that a diagonal is a mean over: one backward pass each
HEAD_TEXTS = 640  # texts a head that follows the text tower is built from in one learning step


@dataclass(frozen=True, eq=False)
class StoredCandidate(Candidate):
    """A candidate and the stored model that it is."""

    reference: ModelReference


def load_input(workspace: Workspace, reference: ModelReference, head0: Head) -> StoredCandidate:
    """A finished model, its tensors read when asked for.

    Raises InvalidSpec when it was not trained on exactly the classes of `head0`, the job's.
    """
    directory = workspace.model_directory(reference)
    head = load_head(directory)
    if head is None:
        raise InvalidSpec(
            f"{reference.id} has no trained head; name a fine-tuned model.",
            code="not_fine_tuned",
            param=f"method.{workspace.spec.method}.inputs",
        )
    try:
        check_heads({"training_file": head0, reference.id: head})
    except CannotCombine as fault:
        raise InvalidSpec(f"{fault}.", code="class_list_differs", param="training_file") from fault
    return StoredCandidate(reference.id, StoredTensors(directory, head), head, reference)


class JobMaterial:
    """`core.learning.combine.base.Material` of one run of a combination."""

    def __init__(
        self,
        workspace: Workspace,
        data: JobData,
        board: Scoreboard,
        clip: Clip,
        theta0: StoredCandidate,
        inputs: Sequence[StoredCandidate],
        seed: int,
        number: int,
    ) -> None:
        """`clip` is the towers; whatever it holds is overwritten. `number` is which of the job's
        runs this is."""
        self._workspace = workspace
        self._data = data
        self._board = board
        self._clip = clip
        self._stored = {candidate.name: candidate for candidate in (theta0, *inputs)}
        self._seed = seed
        self._number = number
        self._measured = 0  # merged states so far
        self.theta0 = theta0
        self.inputs = inputs

    @property
    def device(self) -> torch.device:
        return self._clip.device

    def features_of(self, candidate: Candidate) -> FeaturesOf:
        """The candidate's features of a split, from the cache where it saw the images before."""
        sha256 = self._stored[candidate.name].reference.sha256

        def hold() -> None:
            put_tensors(self._clip, candidate.tensors)

        def features(split: Split) -> Tensor:
            pixels = self._board.pixels[split.name]
            return cached_features(self._workspace, self._clip, sha256, split, pixels, hold)

        return features

    def on_validation(self, candidate: Candidate) -> Answers:
        return self._answers(candidate, self._data.validation)

    def on_training_images(self, candidate: Candidate) -> Answers:
        train = self._train()
        if train.name not in self._board.pixels:
            config = self._clip.preprocess_config
            self._board.pixels[train.name] = evaluation_pixels(self._workspace, train, config)
        return self._answers(candidate, train)

    def validation_accuracy(self, state: State) -> float:
        put_tensors(self._clip, state)
        head = head_for(self._clip, state, self.inputs[0].head)
        self._measured += 1
        self.progress(0.0, self._measured)
        return self._board.selection_accuracy(self._board.features_with(self._clip), head)

    def validation_loss(self, batch_size: int, n_steps: int) -> Loss:
        split, clip, head = self._data.validation, self._clip, self.inputs[0].head
        pixels = self._board.pixels[split.name]
        classifier = FunctionalClassifier(clip, head)

        def loss(weights: State, number: int) -> Tensor:
            samples = batch_samples(self._seed, number, batch_size, len(pixels))
            images = torch.from_numpy(np.array(pixels.images[samples]))
            images_BCHW = normalise(images, clip.preprocess_config).to(clip.device)
            labels_B = torch.from_numpy(pixels.labels[samples]).to(clip.device)
            logits_BK = classifier.logits(weights, images_BCHW, self._templates(head, number))
            self.progress((number + 1) / n_steps, number + 1, n_steps)
            return functional.cross_entropy(mask_columns(logits_BK, split.subset), labels_B)

        return loss

    def fisher(self, candidate: Candidate) -> dict[str, Tensor]:
        clip = self._clip
        classifier = FunctionalClassifier(clip, candidate.head)
        weights = {name: tensor.to(clip.device) for name, tensor in candidate.tensors.items()}

        def log_probabilities(weights: State, images_BCHW: Tensor) -> Tensor:
            return classifier.logits(weights, images_BCHW).log_softmax(dim=-1)

        found = diagonal_fisher(log_probabilities, weights, self._fisher_images(), self._seed)
        return {name: diagonal.cpu() for name, diagonal in found.items()}

    def progress(self, done: float, step: int = 0, total_steps: int = 0) -> None:
        """`done` of this run's combining, 0 to 1, is behind us."""
        share = (self._number + done) / len(self._workspace.spec.seeds)
        self._workspace.reporter.within("combining", share, step, total_steps)

    def note(self, message: str, **data: object) -> None:
        self._workspace.reporter.event(self._of_this_seed(message), **data, seed=self._seed)

    def warn(self, message: str, **data: object) -> None:
        self._workspace.reporter.warn(self._of_this_seed(message), **data, seed=self._seed)

    def _of_this_seed(self, message: str) -> str:
        """Where a combination is done for several seeds, its sentences say for which."""
        return message if len(self._workspace.spec.seeds) == 1 else f"seed {self._seed}: {message}"

    def _answers(self, candidate: Candidate, split: Split) -> Answers:
        features_ND = self.features_of(candidate)(split)
        head = candidate.head
        logits_NK = mask_columns(head_logits(features_ND, head.weight, head.scale), split.subset)
        labels_N = torch.from_numpy(self._board.pixels[split.name].labels)
        return Answers(features_ND, logits_NK, labels_N)

    def _templates(self, head: Head, number: int) -> list[str] | None:
        """The templates that a step's head is built from, where it follows the text tower: all,
        or, for many classes, as many as can be encoded at once, drawn by (seed, number)."""
        if not head.from_text:
            return None
        n_drawn = max(1, min(len(head.templates), HEAD_TEXTS // len(head.classes)))
        draws = generator(self._seed, "head_templates", number)
        picked = draws.choice(len(head.templates), size=n_drawn, replace=False)
        return [head.templates[index] for index in sorted(picked.tolist())]

    def _fisher_images(self) -> Iterator[Tensor]:
        """Training images one at a time, drawn by the seed where there are many."""
        train, config = self._train(), self._clip.preprocess_config
        n_images = min(FISHER_IMAGES, len(train.entries))
        draws = generator(self._seed, "fisher_images")
        picked = sorted(draws.choice(len(train.entries), size=n_images, replace=False).tolist())
        entries, labels = ([column[i] for i in picked] for column in (train.entries, train.labels))
        sample = replace(train, entries=entries, labels=labels)
        pixels = evaluation_pixels(self._workspace, sample, config)
        for number, (images_1CHW, _) in enumerate(pixels.batches(config, 1), 1):
            self.progress(0.0, number, n_images)
            yield images_1CHW.to(self._clip.device)

    def _train(self) -> Split:
        assert self._data.train is not None  # a combination was refused without one
        return self._data.train
