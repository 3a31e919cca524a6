"""What a job keeps of theta0: features of the weights it had, whatever the model holds later."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.datasets.index_entry import IndexEntry
from core.jobs.messages import Event, Message, decode
from core.jobs.spec import DatasetReference
from core.learning.models import Clip
from core.learning.pixels import EvaluationPixels
from core.learning.zero_shot import build_head
from core.objects import ObjectStore
from core.settings import Settings
from tests.builders import tiny_clip
from tests.service_builders import specification
from worker.pipeline.data import Split
from worker.pipeline.features import cached_head
from worker.pipeline.reports import Reporter
from worker.pipeline.workspace import Workspace
from worker.pipeline.zero_shot import ZeroShot

N = 5


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    settings = Settings(data_dir=tmp_path / "data")
    descriptor = os.open(tmp_path / "reports", os.O_WRONLY | os.O_CREAT)
    store = ObjectStore.from_settings(settings)
    return Workspace(specification(), 1, settings, store, Reporter(descriptor), tmp_path)


@pytest.fixture
def reported(tmp_path: Path) -> Callable[[], list[Message]]:
    return lambda: [decode(line) for line in (tmp_path / "reports").read_bytes().splitlines()]


@pytest.fixture
def split() -> Split:
    entries = [
        IndexEntry(f"test/cat/{n}.png", "test", "cat", 16, 16, 1, f"{n:064}") for n in range(N)
    ]
    reference = DatasetReference(version="v1", archive_key="a", archive_size=1, index_key="i")
    return Split("test", reference, entries, [0] * N, None)


@pytest.fixture
def pixels(split: Split) -> dict[str, EvaluationPixels]:
    images = np.random.default_rng(0).integers(0, 256, (N, 16, 16, 3), dtype=np.uint8)
    return {"test": EvaluationPixels(images, np.zeros(N, dtype=np.int64), split.keys)}


def overwrite(clip: Clip) -> None:
    with torch.no_grad():
        for parameter in clip.model.parameters():
            parameter.add_(1.0)


def test_features_stay_those_of_theta0(
    workspace: Workspace, split: Split, pixels: dict[str, EvaluationPixels]
) -> None:
    clip = tiny_clip()
    kept = ZeroShot.of(workspace, clip, pixels)
    before = kept.features(split).clone()
    overwrite(clip)
    (path,) = (workspace.settings.cache_directory / "features").iterdir()
    path.unlink()  # as another trainer's trimming might
    assert torch.equal(kept.features(split), before)
    gap, distortion = kept.drift(split, before)
    assert (gap.name, gap.value, distortion.value) == ("energy_gap", 0.0, 0.0)


def test_another_job_encodes_nothing(
    workspace: Workspace, split: Split, pixels: dict[str, EvaluationPixels]
) -> None:
    before = ZeroShot.of(workspace, tiny_clip(), pixels).features(split)
    clip = tiny_clip()
    again = ZeroShot.of(workspace, clip, pixels)
    overwrite(clip)  # so that encoding would be seen
    assert torch.equal(again.features(split), before)


def test_built_in_shifts_have_features_of_their_own(
    workspace: Workspace, split: Split, pixels: dict[str, EvaluationPixels]
) -> None:
    kept = ZeroShot.of(workspace, tiny_clip(), {**pixels, "foggy": pixels["test"]})
    kept.features(split)
    kept.features(replace(split, name="foggy", shift=("fog", 3)))
    assert len(list((workspace.settings.cache_directory / "features").iterdir())) == 2


def test_a_split_theta0_was_not_asked_about_has_no_drift(
    workspace: Workspace, split: Split, pixels: dict[str, EvaluationPixels]
) -> None:
    kept = ZeroShot.of(workspace, tiny_clip(), pixels)
    assert kept.drift(split, torch.ones(N, 8)) == []


def test_a_base_without_marks_has_no_energy_gap(
    workspace: Workspace,
    split: Split,
    pixels: dict[str, EvaluationPixels],
    reported: Callable[[], list[Message]],
) -> None:
    class Unmarked:
        """Writes letters and nothing around them."""

        all_special_ids = (0,)
        pad_token_id = 0

        def __call__(self, texts: list[str]) -> torch.Tensor:
            rows = [[ord(letter) for letter in text][:20] for text in texts]
            return torch.tensor([row + [0] * (20 - len(row)) for row in rows])

    clip = replace(tiny_clip(), tokenizer=Unmarked())
    kept = ZeroShot.of(workspace, clip, pixels)
    features = kept.features(split)
    assert [metric.name for metric in kept.drift(split, features)] == ["feature_distortion"]
    (event,) = reported()
    assert isinstance(event, Event)
    assert event.level == "info"
    assert event.message.startswith("energy_gap is left out: Unmarked")


def test_a_head_is_built_once_for_the_same_model_classes_and_templates(
    workspace: Workspace,
) -> None:
    clip, classes, templates = tiny_clip(), ["cat", "dog"], ["a {}", "the {}"]
    built = cached_head(workspace, clip, "aa", classes, templates).clone()
    assert torch.equal(built, build_head(clip, classes, templates))
    overwrite(clip)
    assert torch.equal(cached_head(workspace, clip, "aa", classes, templates), built)
    others = [
        ("bb", classes, templates),
        ("aa", ["dog", "cat"], templates),
        ("aa", ["cat"], ["dog", *templates]),
    ]
    for other in others:
        assert torch.equal(cached_head(workspace, clip, *other), build_head(clip, *other[1:]))
    assert len(list((workspace.settings.cache_directory / "heads").iterdir())) == 4
