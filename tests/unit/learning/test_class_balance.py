"""Rare classes: their weight in the loss, and how often they are drawn."""

from __future__ import annotations

import numpy as np
import torch

from core.learning.class_balance import balanced_samples, class_weights, small_classes
from core.learning.trainer import Trainer
from tests.builders import RandomBatches, method, tiny_clip, tiny_head

LABELS = [0] * 90 + [1] * 9 + [3]


def test_weights_are_inverse_to_frequency_and_mean_one_over_the_images() -> None:
    weights = class_weights(LABELS, 5)
    assert torch.allclose(weights, torch.tensor([100 / 270, 100 / 27, 0, 100 / 3, 0]))
    assert float(weights[torch.tensor(LABELS)].mean()) == np.float32(1.0)


def test_balanced_draws_give_each_class_the_same_share() -> None:
    labels = np.array(LABELS)
    drawn = np.concatenate([balanced_samples(0, step, 300, labels) for step in range(40)])
    counts = np.bincount(labels[drawn], minlength=5) / len(drawn)
    assert np.abs(counts - [1 / 3, 1 / 3, 0, 1 / 3, 0]).max() < 0.02
    within = np.bincount(drawn[labels[drawn] == 1], minlength=100)[90:99]
    assert within.min() > 0.8 * within.mean()  # every image of a class as often as another


def test_balanced_draws_are_a_function_of_seed_and_step() -> None:
    labels = np.array(LABELS)
    assert (balanced_samples(1, 2, 8, labels) == balanced_samples(1, 2, 8, labels)).all()
    assert (balanced_samples(1, 2, 8, labels) != balanced_samples(1, 3, 8, labels)).any()
    assert (balanced_samples(1, 2, 8, labels) != balanced_samples(2, 2, 8, labels)).any()


def test_weights_reach_the_loss() -> None:
    weights = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0])
    trainer = Trainer(
        tiny_clip(), tiny_head(), method("ft"), RandomBatches(), class_weights=weights
    )
    _, labels = RandomBatches().batch(0)
    with torch.no_grad():
        clip = trainer.student.clip
        logits = clip.scale * clip.image_features(RandomBatches().batch(0)[0]) @ tiny_head().weight
    log_probabilities = logits.log_softmax(dim=1)[torch.arange(8), labels]
    expected = -(weights[labels] * log_probabilities).mean()
    assert torch.allclose(trainer.train_step()["loss"], expected, rtol=1e-5)


def test_small_classes_are_named() -> None:
    assert small_classes(LABELS, 5) == [2, 3, 4]
