"""What may choose a checkpoint: `val`, what the user marks, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from core.jobs.spec import JobSpec
from tests.jobs import colour_archive, job_spec
from tests.pipeline import make_settings, run_here
from worker.pipeline.choosing import run_choice

FOG = "corruption.fog.3"
BASELINES = {"night": [(0.2, 0.1), (0.3, 0.2), (0.35, 0.3)]}
MODELS = ("zero_shot", "wise_ft@0.5", "fine_tuned")


def with_night_marked(spec: JobSpec) -> JobSpec:
    splits = [
        split.model_copy(update={"selection": split.name == "night"}) for split in spec.splits
    ]
    return spec.model_copy(update={"splits": splits, "averages": {"shifted": ["night"]}})


def test_a_marked_split_is_said_wherever_it_touched(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    spec = with_night_marked(job_spec(settings, tmp_path / "in"))
    ran = run_here(settings, spec, tmp_path / "w")
    assert any("the best on val and night (marked for selection" in e.message for e in ran.events)
    model = ran.models[0]
    assert model.info["selected_on"] == ["night"]
    assert model.metrics.keys() == {"selection_accuracy", "step", "train_loss"}
    document = ran.document()
    assert all(
        row["selection"] is (row["model"] != "zero_shot" or row["split"] == "night")
        for row in document["rows"]
    )
    assert document["averages"][0]["selection"] is True
    card = ran.member(model, "README.md").decode()
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    assert all("(selection)" in line for line in lines if line.startswith(("| night", "| shifted")))
    assert all("selected on night" in line for line in lines if "fine_tuned" in line)


def permuted_archive(source: Path, target: Path) -> Path:
    """The same images, those of test and night under each other's labels."""
    shifted = {"ant": "bee", "bee": "cat", "cat": "ant"}
    swapped = {"ant": "bee", "bee": "ant"}
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as out:
        for name in archive.namelist():
            split, label, file = name.split("/")
            label = {"test": shifted, "night": swapped}.get(split, {}).get(label, label)
            out.writestr(f"{split}/{label}/{file}", archive.read(name))
    return target


def test_labels_of_test_and_shifted_splits_change_no_weight_and_no_step(tmp_path: Path) -> None:
    """Nothing but val, and what the user marks, may choose: not even by the back door."""
    plain = colour_archive(tmp_path / "plain.zip")
    options = {"n_steps": 8, "n_evaluations": 8, "learning_rate": 3e-3}
    found = {}
    for name, archive in (
        ("plain", plain),
        ("permuted", permuted_archive(plain, tmp_path / "permuted.zip")),
    ):
        settings = make_settings(tmp_path / f"{name}-service")
        spec = job_spec(settings, tmp_path / name, archive=archive, **options)
        spec = spec.model_copy(update={"corruptions": [FOG], "baselines": BASELINES})
        found[name] = run_here(settings, spec, tmp_path / f"{name}-work")
    one, other = found["plain"], found["permuted"]
    # The labels did change, and the checkpoint was a choice.
    assert (
        one.row("fine_tuned", "test", "nll").value != other.row("fine_tuned", "test", "nll").value
    )
    assert 0 < (one.models[0].step or 0) <= 8
    assert [m.step for m in one.models] == [m.step for m in other.models]
    assert [m.metrics for m in one.models] == [m.metrics for m in other.models]
    for mine, theirs in zip(one.models, other.models, strict=True):
        weights = [name for name in mine.members if name.endswith(".safetensors")]
        assert len(weights) == 3  # both towers, the head, the statistics
        for name in (*weights, "classes.json"):
            assert one.member(mine, name) == other.member(theirs, name), name
    for split in ("val", "test"):
        for model in MODELS:  # T is fitted on val, and val did not change
            metric = "temperature" if split == "val" else "energy_gap"
            if metric in one.metrics(model, split):
                assert one.row(model, split, metric).value == pytest.approx(
                    other.row(model, split, metric).value, rel=1e-12
                )


def test_nor_do_they_change_what_auto_chooses(tmp_path: Path) -> None:
    plain = colour_archive(tmp_path / "plain.zip")
    permuted = permuted_archive(plain, tmp_path / "permuted.zip")
    found = []
    for name, archive in (("plain", plain), ("permuted", permuted)):
        settings = make_settings(tmp_path / f"{name}-service")
        spec = job_spec(settings, tmp_path / name, method="auto", archive=archive)
        found.append(run_here(settings, spec, tmp_path / f"{name}-work", run_choice))
    for mine, theirs in zip(found[0].models, found[1].models, strict=True):
        assert mine.metrics == theirs.metrics
        weights = [name for name in mine.members if name.endswith(".safetensors")]
        assert weights
        for name in weights:
            assert found[0].member(mine, name) == found[1].member(theirs, name), name
    (mixture,) = [model for model in found[0].models if "vrf.safetensors" in model.members]
    assert mixture.kind == "fine_tuned"
    accuracies = [ran.row("auto", "test", "nll").value for ran in found]
    assert accuracies[0] != accuracies[1]  # the labels did change


def test_a_marked_split_may_choose_another_step(tmp_path: Path) -> None:
    """The test above can fail: labels of a split that chooses do matter."""
    plain = colour_archive(tmp_path / "plain.zip")
    permuted = permuted_archive(plain, tmp_path / "permuted.zip")
    options = {"n_steps": 8, "n_evaluations": 8, "learning_rate": 3e-3}
    metrics = []
    for name, archive in (("plain", plain), ("permuted", permuted)):
        settings = make_settings(tmp_path / f"{name}-service")
        spec = with_night_marked(job_spec(settings, tmp_path / name, archive=archive, **options))
        metrics.append(run_here(settings, spec, tmp_path / f"{name}-work").models[0].metrics)
    assert metrics[0] != metrics[1]
