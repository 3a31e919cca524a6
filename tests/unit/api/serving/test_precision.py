"""Image towers in bfloat16: how far their answers move, and when they stay in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from api.serving import precision
from api.serving.loaded_model import LoadedModel
from api.serving.precision import is_small, load_for_serving
from core.datasets.images import decode
from core.demo.base_files import BASE
from core.learning.calibration import Calibration
from core.learning.models import Clip
from core.settings import ServingPrecision
from tests.unit.api.serving.photographs import LIMITS, photograph

CPU = torch.device("cpu")
COSINE_DISTANCE = 2e-4  # of features
PROBABILITY = 0.03
LABELS = ["a bird", "a bus", "a tree", "a clock"]


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "SMALL_TOWER", 0)


def dtype(clip: Clip) -> torch.dtype:
    return next(clip.visual.parameters()).dtype


def load(wanted: ServingPrecision) -> LoadedModel:
    return LoadedModel(load_for_serving(BASE, CPU, wanted), None, None, Calibration(1.0, None))


def test_answers_in_bf16_are_nearly_those_of_float32() -> None:
    images = [decode(photograph(seed, 300, 240), LIMITS) for seed in range(16)]
    features: list[Tensor] = []
    probabilities: list[Tensor] = []
    for wanted in ("fp32", "bf16"):
        model = load(wanted)
        found = model.features([model.preprocess(image) for image in images])
        features.append(torch.stack(found))
        classifier = model.zero_shot(LABELS, ["a photo of {}."])
        probabilities.append(classifier.scores(features[-1], "softmax"))
    assert features[1].dtype == torch.float32
    distance = (1 - (features[0] * features[1]).sum(dim=-1)).max()
    assert 0 < distance < COSINE_DISTANCE
    assert (probabilities[0] - probabilities[1]).abs().max() < PROBABILITY


def test_it_takes_half_the_memory() -> None:
    full, half = load("fp32"), load("bf16")
    tower = sum(weight.nbytes for weight in full.clip.visual.state_dict().values())
    assert full.bytes - half.bytes == tower / 2


@pytest.mark.parametrize(
    ("wanted", "fast", "expected"),
    [
        ("fp32", True, torch.float32),
        ("auto", False, torch.float32),
        ("auto", True, torch.bfloat16),
        ("bf16", False, torch.bfloat16),
    ],
)
def test_auto_takes_what_the_device_does_well(
    wanted: ServingPrecision,
    fast: bool,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_fast_bf16", lambda _device: fast)
    clip = load_for_serving(BASE, CPU, wanted)
    assert dtype(clip) == expected
    assert next(clip.model.transformer.parameters()).dtype == torch.float32  # type: ignore[union-attr]


def test_a_small_tower_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "SMALL_TOWER", 8_000_000)
    clip = load_for_serving(BASE, CPU, "bf16")
    assert is_small(clip.visual)
    assert dtype(clip) == torch.float32


def test_a_tower_that_answers_otherwise_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "FARTHEST", 1e-9)
    assert dtype(load_for_serving(BASE, CPU, "bf16")) == torch.float32


def test_a_tower_that_cannot_compute_in_it_stays_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_float32_only(clip: Clip, images: Tensor) -> Tensor:
        if dtype(clip) == torch.bfloat16:
            raise RuntimeError('"an operation" not implemented for BFloat16')
        return images.flatten(1)

    monkeypatch.setattr(precision, "tower_features", in_float32_only)
    assert dtype(load_for_serving(BASE, CPU, "bf16")) == torch.float32
