"""Mixtures in a job: how their members' answers become rows, and the tar that is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from core.learning.evaluation import head_logits
from core.learning.mixtures import Mixture
from core.learning.models import (
    CONFIG_FILE,
    TOKENIZER_FILES,
    WEIGHTS_FILE,
    Head,
    save_classes,
    save_head,
)
from core.learning.statistics import STATISTICS_FILE
from worker.pipeline.data import Split
from worker.pipeline.material import StoredCandidate
from worker.pipeline.scoring import FeaturesOf, LogitsOf
from worker.pipeline.workspace import Workspace

_MEMBER_FILES = (WEIGHTS_FILE, CONFIG_FILE, STATISTICS_FILE, *TOKENIZER_FILES)


@dataclass(frozen=True)
class Member:
    """One of the models that answer together."""

    features_of: FeaturesOf
    head: Head


def mixed_answers(mixture: Mixture, members: Sequence[Member]) -> LogitsOf:
    """Log-probabilities (N, K) float64 of a split."""

    def answers(split: Split) -> Tensor:
        features = [member.features_of(split) for member in members]
        logits = [
            # In float32 a class that nobody believes in would have probability zero.
            head_logits(each, member.head.weight, member.head.scale).double()
            for each, member in zip(features, members, strict=True)
        ]
        return mixture.answer(features, logits, split.subset).log()

    return answers


def write_mixture(
    workspace: Workspace,
    mixture: Mixture,
    members: Mapping[str, StoredCandidate],
    head: Head,
    directory: Path,
) -> None:
    """The constants, the classes of `head`, and a folder with each member's whole model.

    Files that are stored already are linked, not copied: packing reads through links.
    """
    directory.mkdir(parents=True)
    mixture.save(directory)
    save_classes(head, directory)
    for name, member in members.items():
        folder = directory / name
        folder.mkdir()
        source = workspace.model_directory(member.reference)
        for file in _MEMBER_FILES:
            if (source / file).is_file():
                (folder / file).symlink_to(source / file)
        save_head(member.head, folder)
