"""`auto` through the real pipeline: what it keeps is what its rule says, and answers so."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from core.jobs.messages import Metrics, StoredModel
from core.jobs.spec import ModelReference
from core.learning.gated import CEILINGS
from core.learning.mixtures import VrfMixture, load_mixture
from tests.jobs import job_spec
from tests.pipeline import Ran, make_settings, run_here
from worker.pipeline.choosing import run_choice
from worker.pipeline.evaluating import run_evaluation
from worker.pipeline.training import run_training

WEIGHTS, HEAD = "open_clip_model.safetensors", "head.safetensors"


def run_auto(tmp_path: Path, name: str, **knobs: Any) -> Ran:
    settings = make_settings(tmp_path / name)
    spec = job_spec(settings, tmp_path / f"{name}-in", method="auto", **knobs)
    return run_here(settings, spec, tmp_path / f"{name}-work", run_choice)


def choices(ran: Ran) -> list[dict[str, Any]]:
    """What was said of each seed's choice."""
    return [event.data for event in ran.events if event.data and "points" in event.data]


def choice(ran: Ran) -> dict[str, Any]:
    (found,) = choices(ran)
    return found


def models_of(ran: Ran) -> tuple[StoredModel, StoredModel]:
    """The fine-tuned model that was kept, and the mixture."""
    tuned, mixture = ran.models
    assert (tuned.kind, mixture.kind) == ("checkpoint", "fine_tuned")
    return tuned, mixture


def unpacked(ran: Ran, model: StoredModel, directory: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(ran.store.read_bytes(model.object_key))) as archive:
        archive.extractall(directory, filter="data")
    return directory


def test_the_point_kept_is_scored_stored_and_said(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto", seeds=(0, 1), learning_rate=3e-4)
    assert len(choices(ran)) == 2
    for seed, said in enumerate(choices(ran)):
        points, chosen = said["points"], said["chosen"]
        assert said["seed"] == seed
        assert len(points) == 3 * len(CEILINGS)  # two members and their mean
        best = max(point["accuracy"] for point in points)
        near = [point for point in points if point["accuracy"] >= best - 0.005 - 1e-9]
        assert chosen == min(near, key=lambda point: point["moved"])
        (row,) = [
            r.value
            for r in ran.results
            if (r.model, r.seed, r.split, r.metric) == ("auto", seed, "val", "accuracy")
        ]
        assert row == pytest.approx(chosen["accuracy"])
        (mixture,) = [m for m in ran.models if m.kind == "fine_tuned" and m.seed == seed]
        assert mixture.metrics["validation_accuracy"] == pytest.approx(row)
        assert mixture.metrics["ceiling"] == chosen["ceiling"]
    assert ran.document()["result"] == "auto"
    assert {row.model for row in ran.results} == {"zero_shot", "wise_ft@0.5", "fine_tuned", "auto"}
    steps = [m.step for m in ran.messages if isinstance(m, Metrics) and m.seed == 0]
    assert steps == list(range(12))  # six of each member


def test_what_is_stored_is_a_mixture_of_the_base_and_a_model_like_any_other(
    tmp_path: Path,
) -> None:
    ran = run_auto(tmp_path, "auto")
    tuned, mixture = models_of(ran)
    assert tuned.step is not None
    assert tuned.id == f"{mixture.id}:step-{tuned.step}"
    assert mixture.info["mixture"] == {"zero_shot": "base:tiny", "fine_tuned": tuned.id}
    directory = unpacked(ran, mixture, tmp_path / "unpacked")
    for name in (WEIGHTS, HEAD, "statistics.safetensors"):
        assert (directory / "fine_tuned" / name).read_bytes() == ran.member(tuned, name)
    found = load_mixture(directory)
    assert isinstance(found, VrfMixture)
    assert found.ceiling == choice(ran)["chosen"]["ceiling"]
    assert len(found.bank_VD) == mixture.metrics["bank"]


def test_the_stored_mixture_is_scored_again_as_it_was(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto")
    _, mixture = models_of(ran)
    settings = make_settings(tmp_path / "auto")
    spec = job_spec(settings, tmp_path / "auto-in", method="auto")
    reference = ModelReference(
        id=mixture.id,
        object_key=mixture.object_key,
        sha256=mixture.sha256,
        size=mixture.size,
    )
    again = run_here(
        settings,
        spec.model_copy(update={"method": "evaluate", "inputs": [reference], "alphas": []}),
        tmp_path / "again",
        run_evaluation,
    )
    for split in ("val", "test", "night"):
        for metric in ("accuracy", "nll"):
            value = again.row(mixture.id, split, metric).value
            assert value == pytest.approx(ran.row("auto", split, metric).value, abs=1e-6)


def test_giving_up_everything_keeps_zero_shot(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto", tolerance=1.0)
    assert choice(ran)["chosen"]["ceiling"] == 0.0
    for split in ("val", "test", "night"):
        accuracy = [ran.row(model, split, "accuracy").value for model in ("auto", "zero_shot")]
        assert accuracy[0] == accuracy[1]


def test_the_first_member_at_full_weight_is_lipsum_ft(tmp_path: Path) -> None:
    ran = run_auto(tmp_path, "auto", n_members=1)
    tuned, _ = models_of(ran)
    settings = make_settings(tmp_path / "lipsum")
    spec = job_spec(settings, tmp_path / "lipsum-in", method="lipsum_ft")
    lipsum = run_here(settings, spec, tmp_path / "lipsum-work", run_training)
    assert tuned.step == lipsum.models[0].step
    for name in (WEIGHTS, HEAD):
        mine = load(ran.member(tuned, name))
        theirs = load(lipsum.member(lipsum.models[0], name))
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            assert torch.equal(tensor, theirs[key]), key
    for split in ("val", "test", "night"):
        nll = [done.row("fine_tuned", split, "nll").value for done in (ran, lipsum)]
        assert nll[0] == nll[1]
