"""Jobs that begin from a finished model's weights while theta0 stays what it was."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.jobs.messages import Metrics
from core.jobs.spec import JobSpec, ModelReference
from core.objects import ObjectStore
from tests.integration.worker.test_resume import DUTIES, Job, StopAfter
from tests.jobs import colour_archive, stored_dataset
from tests.pipeline import Ran, run_here
from worker.pipeline.training import run_training

WEIGHTS, HEAD = "open_clip_model.safetensors", "head.safetensors"


def made(ran: Ran, suffix: str = "") -> ModelReference:
    """The model of that end of its id, as a specification names it."""
    model = next(m for m in ran.models if m.id == f"ft:tiny::test{suffix}")
    return ModelReference(
        id=model.id, object_key=model.object_key, sha256=model.sha256, size=model.size
    )


def begun_from(spec: JobSpec, *starts: ModelReference, **changes: Any) -> JobSpec:
    """A second job, with a schedule of its own."""
    knobs = changes.pop("hyperparameters", {})
    return spec.model_copy(
        update={
            "job_id": "ftjob-second",
            "model_id": "ft:tiny::second",
            "starts": list(starts),
            "hyperparameters": {**spec.hyperparameters, **knobs},
            **changes,
        }
    )


class Pair:
    """A finished job of one method, and a second that begins from it."""

    def __init__(self, directory: Path, method: str, **changes: object) -> None:
        self.job = Job(directory, method, n_steps=6, **changes)
        self.job.spec = self.job.spec.model_copy(update={"seeds": [0]})
        self.first = self.job.run()

    def then(self, *starts: ModelReference, **changes: Any) -> Ran:
        self.job.spec = begun_from(self.job.spec, *starts, **changes)
        return self.job.run()


@pytest.mark.parametrize("method", ["lipsum_ft", "flyp", "ema"])
def test_a_job_is_continued_from_its_last_weights(tmp_path: Path, method: str) -> None:
    pair = Pair(tmp_path, method, **({"ema_decay": 0.5} if method == "ema" else {}))
    last = made(pair.first, ":step-6")
    # The first step has a rate of zero: what is validated after it is what was begun from.
    second = pair.then(last, hyperparameters={"n_evaluations": 6, "warmup_steps": 2})
    accuracies = {}
    for ran in (pair.first, second):
        data = next(e.data for e in ran.events if e.data and "validations" in e.data)
        points: Any = data["validations"]
        accuracies[ran is second] = {point["step"]: point["accuracy"] for point in points}
    assert accuracies[True][1] == accuracies[False][6]
    assert any(f"begins from the weights of {last.id}" in e.message for e in second.events)
    for split in ("val", "test", "night"):
        zero_shot = [ran.row("zero_shot", split, "nll") for ran in (pair.first, second)]
        assert zero_shot[0] == zero_shot[1]  # theta0 is the base's still
    (model,) = {m.info["start"] for m in second.models}
    assert model == last.id
    card = second.member(second.models[0], "README.md").decode()
    assert f"begun from the weights of `{last.id}`" in card


def test_begun_from_theta0_the_weights_are_those_of_a_job_that_says_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "lipsum_ft")
    weights = pair.first.member(pair.first.models[0], WEIGHTS)
    second = pair.then(pair.job.spec.theta0)
    assert second.member(second.models[0], WEIGHTS) == weights
    assert second.results == pair.first.results


def test_with_theta0s_anchor_lipsums_penalty_is_of_the_whole_way(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "lipsum_ft", learning_rate=1e-2)
    start = made(pair.first)
    anchored = pair.then(start)
    assert first_step(anchored)["penalty"] > 1e-3
    from_model = begun_from(pair.job.spec, theta0=start)
    again = run_here(pair.job.settings, from_model, tmp_path / "again")
    assert first_step(again)["penalty"] == 0.0
    assert again.row("zero_shot", "test", "nll").value == pytest.approx(
        pair.first.row("fine_tuned", "test", "nll").value, rel=1e-5
    )


@pytest.mark.parametrize("method", ["lipsum_ft", "ema", "r_adapter", "auto"])
def test_interrupted_it_ends_as_a_calm_one(tmp_path: Path, method: str) -> None:
    pair = Pair(tmp_path, "flyp")  # whose text tower and scale are not theta0's either
    job = second_job(tmp_path, method)
    job.duty = DUTIES.get(method, run_training)
    last = made(pair.first, ":step-6")
    job.spec = begun_from(job.spec, *[last] * len(job.spec.seeds))
    calm = job.calm()
    handed: list[Any] = []
    metrics: dict[tuple[int, int], dict[str, float]] = {}
    for looks in (25, 40, 10**9):
        ran = job.run(stop=StopAfter(looks), checkpoints=handed)
        for message in ran.messages:
            if isinstance(message, Metrics):
                key = (message.seed, message.step)
                assert metrics.setdefault(key, message.values) == message.values
        handed = ran.checkpoints(handed)
    assert not ran.stopped
    assert ran.digests() == calm.digests()


@pytest.mark.parametrize(
    ("first", "second", "anchored"),
    [  # a head that ft trained is nothing to flyp, whose line then begins at the tower's own
        ("flyp", "ft", False),
        ("flyp", "auto", False),
        ("flyp", "ft", True),
        ("ft", "flyp", True),
        ("flyp", "auto", True),
    ],
)
def test_lines_end_at_theta0_and_at_the_model(
    tmp_path: Path, first: str, second: str, anchored: bool
) -> None:
    """Whether heads are trained by themselves or built from a tower, and whichever tower."""
    pair = Pair(tmp_path, first)
    start = made(pair.first)
    job = second_job(tmp_path, second, n_steps=6)
    where = {"starts": [start]} if anchored else {"theta0": start}
    job.spec = job.spec.model_copy(
        update={"job_id": "ftjob-s", "seeds": [0], "alphas": [0.0, 1.0], **where}
    )
    ran = job.run()
    for split in ("val", "test", "night"):
        for end, name in (("wise_ft@0", "zero_shot"), ("wise_ft@1", "fine_tuned")):
            found = ran.row(end, split, "nll").value
            assert found == pytest.approx(ran.row(name, split, "nll").value, rel=1e-5)


def test_for_other_classes_the_head_is_built_from_the_models_own_tower(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "flyp", learning_rate=1e-2)
    fewer = tmp_path / "fewer.zip"
    with (
        zipfile.ZipFile(colour_archive(tmp_path / "whole.zip")) as whole,
        zipfile.ZipFile(fewer, "w") as archive,
    ):
        for name in whole.namelist():
            if "/cat/" not in name:
                archive.writestr(name, whole.read(name))
    dataset = stored_dataset(ObjectStore.from_settings(pair.job.settings), fewer)
    job = second_job(tmp_path, "ft", n_steps=1, warmup_steps=1)  # at a rate of zero
    splits = [split.model_copy(update={"version": dataset.version}) for split in job.spec.splits]
    job.spec = begun_from(job.spec, made(pair.first), seeds=[0], datasets=[dataset], splits=splits)
    ran = job.run()
    model = ran.models[0]
    assert model.info["n_classes"] == 2
    heads = []
    for number, source in enumerate(
        (ran.member(model, HEAD), pair.first.member(pair.first.models[0], HEAD))
    ):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(source)
        heads.append(load_file(path)["weight"])
    built = heads[1][:, :2]  # ant and bee, of the tower that flyp tuned
    assert heads[0].shape == (8, 2)
    assert torch.allclose(heads[0], built, atol=1e-6)


def second_job(directory: Path, method: str, **knobs: object) -> Job:
    """Another in the same data directory, its working directories apart."""
    job = Job(directory, method, **knobs)
    job.directory = directory / "second"
    job.spec = job.spec.model_copy(update={"job_id": "ftjob-second"})
    return job


def first_step(ran: Ran) -> dict[str, float]:
    return next(m.values for m in ran.messages if isinstance(m, Metrics) and m.step == 0)
