"""The training domain of a model: distance, energy, and how often they raise the flag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.learning.statistics import STATISTICS_FILE, TrainingDomain

CENTRES = 4 * torch.eye(3, 8)
RATES = (0.01, 0.05, 0.1, 0.3)


def draw(n: int, seed: int, spread: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Features of three classes, their labels, and logits."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    features = CENTRES[labels] + spread * torch.randn(n, 8, generator=draws)
    return features, labels, features @ CENTRES.T


@pytest.fixture(scope="module")
def domain() -> TrainingDomain:
    features, labels, _ = draw(3000, 0)
    validation, _, logits = draw(2000, 1)
    return TrainingDomain.of(features, labels, validation, logits)


def test_moments_are_the_classes_means_and_what_lies_around_them(domain: TrainingDomain) -> None:
    features, labels, _ = draw(3000, 0)
    assert domain.moments.counts_K.tolist() == [1000, 1000, 1000]
    torch.testing.assert_close(domain.moments.means_KD.float(), CENTRES, rtol=0, atol=0.1)
    x, y = features.double().numpy(), labels.numpy()
    means = np.stack([x[y == k].mean(axis=0) for k in range(3)])
    around = x - means[y]
    covariance = around.T @ around / len(x)
    covariance += 1e-3 * np.diag(covariance).mean() * np.eye(8)
    inverse = np.linalg.inv(covariance)
    by_class = [((x - mean) @ inverse * (x - mean)).sum(axis=1) for mean in means]
    np.testing.assert_allclose(
        domain.moments.distances(features).numpy(), np.min(by_class, axis=0), rtol=1e-9
    )


def test_p_is_the_share_of_validation_images_that_look_as_shifted(domain: TrainingDomain) -> None:
    """Counted image by image, as the definition has it, at a few hundred new ones."""
    validation, _, logits = draw(2000, 1)
    known = domain.shift(validation, logits)
    features, _, new_logits = draw(300, 2, spread=0.7)
    found = domain.shift(features, new_logits)
    n = len(validation)

    def rank(value: float, among: np.ndarray) -> float:
        return float((among < value).mean())

    distances, energies = known.distance.numpy(), known.energy.numpy()
    own = np.array(
        [
            max(rank(d, distances), rank(e, energies))
            for d, e in zip(distances, energies, strict=True)
        ]
    )
    for place in range(len(features)):
        score = max(
            rank(float(found.distance[place]), distances),
            rank(float(found.energy[place]), energies),
        )
        expected = (1 + (own >= score).sum()) / (n + 1)
        # Quantiles are kept at a thousandth, and lines drawn between them.
        assert float(found.p[place]) == pytest.approx(expected, abs=0.003)


def test_images_of_the_domain_are_flagged_at_the_stated_rate(domain: TrainingDomain) -> None:
    features, _, logits = draw(20_000, 3)
    p = domain.shift(features, logits).p
    for rate in RATES:
        assert float((p <= rate).double().mean()) == pytest.approx(rate, abs=0.25 * rate + 0.004)


def test_images_from_elsewhere_are_flagged(domain: TrainingDomain) -> None:
    features, _, _ = draw(500, 4)
    for moved in (-features, features + 3.0, 0.1 * features):
        assert float((domain.shift(moved, moved @ CENTRES.T).p <= 0.05).double().mean()) > 0.99


def test_few_validation_images_flag_nothing_they_cannot(domain: TrainingDomain) -> None:
    features, labels, _ = draw(3000, 0)
    validation, _, logits = draw(12, 1)
    few = TrainingDomain.of(features, labels, validation, logits)
    far = few.shift(-features[:10], -features[:10] @ CENTRES.T).p
    assert far.tolist() == pytest.approx([1 / 13] * 10)


def test_a_class_without_training_images_attracts_nothing() -> None:
    features, labels, _ = draw(600, 0)
    kept = labels != 2
    validation, _, logits = draw(400, 1)
    domain = TrainingDomain.of(features[kept], labels[kept], validation, logits)
    assert domain.moments.counts_K.tolist() == [200, 200, 0]
    assert float(domain.moments.distances(torch.zeros(1, 8))) > 0
    distances = domain.moments.distances(CENTRES)
    assert float(distances[2]) > 10 * float(distances[:2].max())


def test_what_is_stored_tells_the_same(domain: TrainingDomain, tmp_path: Path) -> None:
    domain.save(tmp_path)
    loaded = TrainingDomain.load(tmp_path)
    assert loaded is not None
    features, _, logits = draw(500, 5)
    before, after = domain.shift(features, logits), loaded.shift(features, logits)
    torch.testing.assert_close(after.distance, before.distance, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.p, before.p, rtol=0, atol=1e-3)


def test_models_of_before_raise_no_flag(domain: TrainingDomain, tmp_path: Path) -> None:
    assert TrainingDomain.load(tmp_path) is None
    domain.save(tmp_path)
    tensors = load_file(tmp_path / STATISTICS_FILE)
    del tensors["rank_quantiles"]
    save_file(tensors, tmp_path / STATISTICS_FILE)
    assert TrainingDomain.load(tmp_path) is None
