"""The training domain of a model that a job made, measured while it holds its weights."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.learning.evaluation import head_logits, split_features
from core.learning.models import Clip, Head
from core.learning.statistics import TrainingDomain
from worker.pipeline.data import Split, evaluation_pixels
from worker.pipeline.scoring import Scoreboard

# Training images that class means and covariance are taken over, so that they stay cheap on a large
# split: enough for the covariance, and of each class for its mean, but never more than the last.
LEAST_IMAGES, IMAGES_A_CLASS, MOST_IMAGES = 5_000, 20, 20_000


def training_domain(board: Scoreboard, clip: Clip, head: Head) -> TrainingDomain:
    """Of the weights that the model holds now and that head."""
    data = board.data
    wanted = min(MOST_IMAGES, max(LEAST_IMAGES, IMAGES_A_CLASS * len(head.classes)))
    sample = _thinned(data.train or data.validation, wanted)
    pixels = evaluation_pixels(board.workspace, sample, clip.preprocess_config)
    train_features = split_features(clip, clip.visual, pixels)
    features = split_features(clip, clip.visual, board.pixels[data.validation.name])
    logits = head_logits(features, head.weight, head.scale)
    return TrainingDomain.of(train_features, torch.from_numpy(pixels.labels), features, logits)


def _thinned(split: Split, wanted: int) -> Split:
    """Every k-th image of a split, of which some `wanted` are left at most."""
    stride = -(-len(split.entries) // wanted)
    if stride == 1:
        return split
    return replace(split, entries=split.entries[::stride], labels=split.labels[::stride])
