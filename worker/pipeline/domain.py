"""The training domain of a model that a job made, measured while it holds its weights."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.learning.evaluation import head_logits, split_features
from core.learning.models import Clip, Head
from core.learning.statistics import TrainingDomain
from worker.pipeline.data import Split, evaluation_pixels
from worker.pipeline.scoring import Scoreboard

TRAINING_IMAGES = 20_000  # that class means and covariance are taken over


def training_domain(board: Scoreboard, clip: Clip, head: Head) -> TrainingDomain:
    """Of the weights that the model holds now and that head."""
    data = board.data
    pixels = evaluation_pixels(
        board.workspace, _thinned(data.train or data.validation), clip.preprocess_config
    )
    train_features = split_features(clip, clip.visual, pixels)
    features = split_features(clip, clip.visual, board.pixels[data.validation.name])
    logits = head_logits(features, head.weight, head.scale)
    return TrainingDomain.of(train_features, torch.from_numpy(pixels.labels), features, logits)


def _thinned(split: Split) -> Split:
    """Every k-th image of a split, so that statistics stay cheap on a large one."""
    stride = -(-len(split.entries) // TRAINING_IMAGES)
    if stride == 1:
        return split
    return replace(split, entries=split.entries[::stride], labels=split.labels[::stride])
