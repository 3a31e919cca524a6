"""A model as a function of its weights: the model's own answers, and gradients to all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.learning.functional import FunctionalClassifier
from core.learning.models import Head, load_head, save_directory, save_head
from core.learning.states import StoredTensors, head_for, put_tensors, tensors_of
from core.learning.zero_shot import build_head
from tests.builders import tiny_clip, tiny_head

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def text_head(seed: int = 0) -> Head:
    clip, head = tiny_clip(seed), tiny_head()
    weight = build_head(clip, head.classes, head.templates)
    return replace(head, weight=weight, scale=clip.scale / 2, from_text=True, temperature=2.0)


@pytest.mark.parametrize("custom_text", [False, True])
def test_weights_brought_are_the_models_that_answers(custom_text: bool) -> None:
    """The towers hold other weights all the while, and keep them."""
    held, other = (tiny_clip(seed, custom_text=custom_text) for seed in (0, 1))
    before = tensors_of(held, tiny_head())
    weights = tensors_of(other, tiny_head())
    found = FunctionalClassifier(held, tiny_head()).logits(weights, IMAGES)
    expected = tiny_head().logits(other.image_features(IMAGES))
    torch.testing.assert_close(found, expected)
    after = tensors_of(held, tiny_head())
    assert all(after[name].equal(tensor) for name, tensor in before.items())


def test_a_head_among_the_weights_is_used_and_learns() -> None:
    clip, head = tiny_clip(), tiny_head()
    weights = tensors_of(clip, head)
    weights["head"] = (2.0 * weights["head"]).requires_grad_()
    classifier = FunctionalClassifier(clip, head)
    logits = classifier.logits(weights, IMAGES)
    torch.testing.assert_close(logits, 2.0 * head.logits(clip.image_features(IMAGES)))
    (gradient,) = torch.autograd.grad(logits.sum(), weights["head"])
    assert gradient.abs().min() > 0


def test_a_head_that_follows_the_text_tower_is_built_with_gradient() -> None:
    clip, head = tiny_clip(), text_head(1)
    other = tiny_clip(1)
    weights = {
        name: tensor.requires_grad_() if tensor.is_floating_point() else tensor
        for name, tensor in tensors_of(other, head).items()
    }
    classifier = FunctionalClassifier(clip, head)
    logits = classifier.logits(weights, IMAGES, head.templates)
    torch.testing.assert_close(logits, head.logits(other.image_features(IMAGES)))
    logits.square().sum().backward()
    for name in ("visual.proj", "text_projection", "token_embedding.weight", "logit_scale"):
        gradient = weights[name].grad
        assert gradient is not None and gradient.abs().max() > 0, name
    one_template = classifier.logits(weights, IMAGES, head.templates[:1])
    assert not torch.allclose(one_template, logits)


def test_without_templates_such_a_head_is_held_fixed() -> None:
    clip, head = tiny_clip(), text_head()
    weights = tensors_of(clip, head)
    weights["text_projection"].requires_grad_()
    weights["visual.proj"].requires_grad_()
    logits = FunctionalClassifier(clip, head).logits(weights, IMAGES)
    torch.testing.assert_close(logits, head.logits(clip.image_features(IMAGES)))
    fixed, learning = torch.autograd.grad(
        logits.sum(), [weights["text_projection"], weights["visual.proj"]], allow_unused=True
    )
    assert fixed is None and learning.abs().max() > 0


@pytest.mark.parametrize("from_text", [False, True])
def test_stored_tensors_are_those_of_the_model(tmp_path: Path, from_text: bool) -> None:
    clip, head = tiny_clip(3), replace(tiny_head(), from_text=from_text, temperature=1.5)
    save_directory(clip, tmp_path)
    save_head(head, tmp_path)
    loaded = load_head(tmp_path)
    assert loaded is not None
    assert (loaded.from_text, loaded.temperature) == (from_text, 1.5)
    expected, found = tensors_of(clip, head), StoredTensors(tmp_path, loaded)
    assert found.keys() == expected.keys() and len(found) == len(expected)
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    assert ("head" in found) is not from_text and "nothing" not in found
    with pytest.raises(KeyError):
        found["nothing"]
    held = tiny_clip(4)
    put_tensors(held, found)
    assert tensors_of(held, head)["visual.proj"].equal(expected["visual.proj"])


def test_a_head_that_is_built_again_stays_calibrated() -> None:
    clip, head = tiny_clip(), text_head()
    state = tensors_of(clip, head)
    again = head_for(clip, state, head)
    assert again.scale == pytest.approx(clip.scale / 2)
    assert again.temperature == 2.0
    torch.testing.assert_close(again.weight, head.weight)
