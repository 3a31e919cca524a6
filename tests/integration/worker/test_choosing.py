"""`auto` through the real pipeline: what it keeps is what its rule says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from core.jobs.messages import Metrics
from core.learning.methods.auto import ALPHAS
from tests.jobs import job_spec
from tests.pipeline import Ran, make_settings, run_here
from worker.pipeline.choosing import run_choice
from worker.pipeline.training import run_training

WEIGHTS, HEAD = "open_clip_model.safetensors", "head.safetensors"


def run_auto(tmp_path: Path, name: str, **knobs: Any) -> Ran:
    settings = make_settings(tmp_path / name)
    spec = job_spec(settings, tmp_path / f"{name}-in", method="auto", **knobs)
    return run_here(settings, spec, tmp_path / f"{name}-work", run_choice)


def choice(ran: Ran) -> dict[str, Any]:
    (event,) = [event for event in ran.events if event.data and "points" in event.data]
    assert event.data is not None
    return event.data


def test_the_point_kept_is_scored_stored_and_said(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto")
    said = choice(ran)
    points, chosen = said["points"], said["chosen"]
    assert len(points) == 1 + 3 * (len(ALPHAS) - 1)  # two members and their mean
    assert points[0] == {**points[0], "alpha": 0.0, "distortion": 0.0}
    best = max(point["accuracy"] for point in points)
    near = [point for point in points if point["accuracy"] >= best - 0.005 - 1e-9]
    assert chosen == min(near, key=lambda point: point["distortion"])
    row = ran.row("fine_tuned", "val", "accuracy")
    assert row.value == pytest.approx(chosen["accuracy"])
    distortion = ran.row("fine_tuned", "val", "feature_distortion").value
    assert distortion == pytest.approx(chosen["distortion"], rel=1e-6)
    (model,) = ran.models
    assert model.metrics == {"validation_accuracy": row.value, "alpha": chosen["alpha"]}
    assert model.step is None
    assert ran.document()["result"] == "fine_tuned"
    steps = [message.step for message in ran.messages if isinstance(message, Metrics)]
    assert steps == list(range(12))  # six of each member


def test_giving_up_everything_keeps_zero_shot(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto", tolerance=1.0)
    assert choice(ran)["chosen"]["alpha"] == 0.0
    for split in ("val", "test", "night"):
        assert ran.row("fine_tuned", split, "nll").value == ran.row("zero_shot", split, "nll").value


def test_one_member_at_its_end_is_lipsum_ft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.pipeline.choosing.ALPHAS", (1.0,))
    ran = run_auto(tmp_path, "auto", n_members=1)
    settings = make_settings(tmp_path / "lipsum")
    spec = job_spec(settings, tmp_path / "lipsum-in", method="lipsum_ft")
    lipsum = run_here(settings, spec, tmp_path / "lipsum-work", run_training)
    for name in (WEIGHTS, HEAD):
        mine = load(ran.member(ran.models[0], name))
        theirs = load(lipsum.member(lipsum.models[0], name))
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            assert torch.equal(tensor, theirs[key]), key
