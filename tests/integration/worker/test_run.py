"""The trainer process itself: a specification in, objects and reports out."""

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from PIL import Image

from core.jobs.integrations import OwnedIntegration
from core.jobs.messages import (
    PEAK_MEMORY,
    Artifact,
    DatasetChecked,
    Event,
    Failed,
    Finished,
    Message,
    Metrics,
    Progress,
    SplitResult,
    StoredModel,
    decode,
)
from core.jobs.spec import JobSpec
from core.objects import ObjectStore
from core.settings import MIB, Settings
from tests.jobs import colour_archive, job_spec
from worker.environment import trainer_environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", trainer_threads=1, device="cpu")


def run_trainer(
    settings: Settings,
    spec: JobSpec,
    work: Path,
    duty: str,
    log: Path | None = None,
    python_path: Path | None = None,
) -> list[Message]:
    """Start a real trainer as the supervisor does, printing to `log`, and read everything it
    reports."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "spec.json").write_text(spec.model_dump_json())
    ours, theirs = os.pipe()
    output = None if log is None else log.open("ab")
    environment = trainer_environment(settings)
    if python_path is not None:
        environment["PYTHONPATH"] += f"{os.pathsep}{python_path}"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "worker.run",
            "--spec",
            str(work / "spec.json"),
            "--work",
            str(work),
            "--reports-fd",
            str(theirs),
            "--attempt",
            "1",
            "--duty",
            duty,
            "--parent",
            str(os.getpid()),
        ],
        stdout=output,
        stderr=output,
        pass_fds=(theirs,),
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    if output is not None:
        output.close()
    with os.fdopen(ours, "rb") as pipe:
        messages = [decode(line) for line in pipe]
    code = process.wait(timeout=60)
    assert code == (0 if isinstance(messages[-1], Finished) else 1)
    return messages


def of_type(messages: list[Message], kind: type) -> list:  # type: ignore[type-arg]
    return [message for message in messages if isinstance(message, kind)]


def test_a_full_disk_is_said_although_nothing_can_be_printed(
    settings: Settings, tmp_path: Path
) -> None:
    plain = colour_archive(tmp_path / "colours.zip")
    archive = tmp_path / "colours.tar.gz"
    with zipfile.ZipFile(plain) as source, tarfile.open(archive, "w:gz") as target:
        for name in source.namelist():
            member = tarfile.TarInfo(name)
            member.size = source.getinfo(name).file_size
            target.addfile(member, io.BytesIO(source.read(name)))
    spec = job_spec(settings, tmp_path / "inputs", archive=archive)
    work = tmp_path / "check"
    work.mkdir()
    # Where the trainer decompresses the archive to, every write finds no space.
    (work / f"{spec.datasets[0].version}.plain.part").symlink_to("/dev/full")
    said = run_trainer(settings, spec, work, "check", log=Path("/dev/full"))
    (failed,) = of_type(said, Failed)
    assert (failed.reason, said[-1]) == ("storage_error", failed)
    assert failed.message == "The worker's disk is full: No space left on device."


def test_a_job_from_archive_to_weights(settings: Settings, tmp_path: Path) -> None:
    spec = job_spec(settings, tmp_path / "inputs", seeds=(0, 1))
    spec = spec.model_copy(update={"integrations": [OwnedIntegration(type="tensorboard")]})
    store = ObjectStore.from_settings(settings)

    checked = run_trainer(settings, spec, tmp_path / "check", "check")
    assert checked[-1] == Finished()
    (report,) = of_type(checked, DatasetChecked)
    assert report.summary["images"] == 66
    assert store.exists(spec.datasets[0].index_key)

    messages = run_trainer(settings, spec, tmp_path / "train", "train")
    assert messages[-1] == Finished()
    fractions = [m.fraction for m in of_type(messages, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert any("held out" in event.message for event in of_type(messages, Event))
    [memory] = [e for e in of_type(messages, Event) if e.message.startswith(PEAK_MEMORY)]
    assert memory.data is not None
    assert memory.data["peak_memory_bytes"] > 50 * MIB  # torch alone is more
    metrics = of_type(messages, Metrics)
    assert [(m.seed, m.step) for m in metrics] == [(s, i) for s in (0, 1) for i in range(6)]
    assert {"loss", "cross_entropy", "penalty", "gradient_norm", "learning_rate"} == set(
        metrics[0].values
    )

    results = of_type(messages, SplitResult)
    expected = {("zero_shot", 0)} | {(m, s) for m in ("fine_tuned", "wise_ft@0.5") for s in (0, 1)}
    assert {(r.model, r.seed) for r in results} == expected
    assert {r.split for r in results} == {"val", "test", "night"}
    assert {"accuracy", "nll", "ece", "temperature", "energy_gap"} <= {r.metric for r in results}
    images = {r.split: r.n for r in results if r.metric == "accuracy"}
    assert images == {"val": 4, "test": 18, "night": 12}

    models = [m for m in of_type(messages, StoredModel) if m.kind == "fine_tuned"]
    assert [m.id for m in models] == ["ft:tiny::test", "ft:tiny::test:seed-1"]
    check_checkpoints(store, messages, models[0])
    names = {a.filename: a for a in of_type(messages, Artifact)}
    assert set(names) == {
        "model.tar",
        "model-seed-1.tar",
        "metrics.csv",
        "results.json",
        "predictions.parquet",
        "tensorboard.tar",
    }
    assert all(a.object_key.startswith("jobs/ftjob-test/attempts/1/") for a in names.values())
    stored_rows = json.loads(store.read_bytes(names["results.json"].object_key))["rows"]
    assert len(stored_rows) == len(results)
    check_weights(store, spec, models[0], names["predictions.parquet"], tmp_path)


def check_checkpoints(store: ObjectStore, messages: list[Message], model: StoredModel) -> None:
    """The kept step is the model itself; the last one is stored beside it if it differs."""
    checkpoints = [
        m for m in of_type(messages, StoredModel) if m.kind == "checkpoint" and m.seed == model.seed
    ]
    kept = checkpoints[0]
    assert kept.id == f"{model.id}:step-{model.step}"
    assert kept.object_key == model.object_key
    assert kept.metrics.keys() == {"validation_accuracy", "step", "train_loss"}
    assert {c.step for c in checkpoints} == {model.step, 6}
    assert all(store.exists(c.object_key) for c in checkpoints)


def check_weights(
    store: ObjectStore, spec: JobSpec, model: StoredModel, predictions: Artifact, tmp_path: Path
) -> None:
    """The stored tar, loaded by open_clip, gives the stored predictions; night is masked."""
    packed = store.read_bytes(model.object_key)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "model", filter="data")
    for name, (offset, size) in model.members.items():
        assert packed[offset : offset + size] == (tmp_path / "model" / name).read_bytes()
    assert {p.name for p in (tmp_path / "model").iterdir()} >= {
        "open_clip_model.safetensors",
        "open_clip_config.json",
        "head.safetensors",
        "classes.json",
        "statistics.safetensors",
        "README.md",
        "SHA256SUMS",
    }
    loaded, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    head = safetensors.torch.load_file(tmp_path / "model" / "head.safetensors")
    classes = json.loads((tmp_path / "model" / "classes.json").read_text())
    assert classes["classes"] == ["ant", "bee", "cat"]
    assert classes["class_subsets"] == {"night": [0, 1]}
    table = pq.read_table(io.BytesIO(store.read_bytes(predictions.object_key)))
    rows = [r for r in table.to_pylist() if r["model"] == "fine_tuned" and r["seed"] == 0]
    archive_bytes = io.BytesIO(store.read_bytes(spec.datasets[0].archive_key))
    with zipfile.ZipFile(archive_bytes) as images, torch.inference_mode():
        for row in rows:
            image = Image.open(io.BytesIO(images.read(row["key"])))
            features = loaded.eval().encode_image(preprocess(image)[None])
            features = torch.nn.functional.normalize(features, dim=-1)
            logits = head["scale"].float() * features @ head["weight"]
            if row["split"] == "night":
                logits[:, 2] = -torch.inf
                assert 2 not in row["top_labels"][:2]
            probabilities = logits.softmax(dim=-1)[0].numpy()
            assert int(probabilities.argmax()) == row["top_labels"][0]
            np.testing.assert_allclose(
                probabilities[row["label"]], row["true_probability"], atol=1e-5
            )


def test_the_same_specification_gives_the_same_weights(settings: Settings, tmp_path: Path) -> None:
    spec = job_spec(settings, tmp_path / "inputs")
    run_trainer(settings, spec, tmp_path / "check", "check")
    digests = set()
    for number in range(2):
        messages = run_trainer(settings, spec, tmp_path / f"train-{number}", "train")
        digests.add(of_type(messages, StoredModel)[0].sha256)
    assert len(digests) == 1


def test_leaked_training_images_fail_the_dataset(settings: Settings, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path / "leaky.zip")
    with zipfile.ZipFile(archive, "a") as out:
        out.writestr("test/ant/copied.png", out.read("train/ant/003.png"))
    spec = job_spec(settings, tmp_path / "inputs", archive=archive)
    messages = run_trainer(settings, spec, tmp_path / "check", "check")
    failed = messages[-1]
    assert isinstance(failed, Failed)
    assert failed.reason == "invalid_dataset"
    assert "test/ant/copied.png" in failed.message
    assert "train/ant/003.png" in failed.message
    allowed = spec.model_copy(update={"allow_duplicates": True})
    messages = run_trainer(settings, allowed, tmp_path / "again", "check")
    assert messages[-1] == Finished()
    assert any("copied.png" in event.message for event in of_type(messages, Event))


def test_what_libraries_do_when_python_ends_cannot_fail_a_trainer(
    settings: Settings, tmp_path: Path
) -> None:
    # As a native library's thread did that outlived the interpreter it was waiting for.
    (tmp_path / "sitecustomize.py").write_text("import atexit, os; atexit.register(os.abort)")
    spec = job_spec(settings, tmp_path / "inputs")
    messages = run_trainer(settings, spec, tmp_path / "check", "check", python_path=tmp_path)
    assert messages[-1] == Finished()


def test_a_loss_that_is_not_finite_fails_the_job(settings: Settings, tmp_path: Path) -> None:
    # Decoupled decay multiplies every weight by 1 - 1.0 * 10 = -9 a step: past float32 in 40.
    spec = job_spec(
        settings,
        tmp_path / "inputs",
        method="ft",
        learning_rate=1.0,
        weight_decay=10.0,
        warmup_fraction=0.0,
        n_steps=200,
    )
    run_trainer(settings, spec, tmp_path / "check", "check")
    last = run_trainer(settings, spec, tmp_path / "train", "train")[-1]
    assert isinstance(last, Failed)
    assert last.reason == "loss_not_finite"
    assert "at step" in last.message


def test_evaluation_and_interpolation_of_a_finished_model(
    settings: Settings, tmp_path: Path
) -> None:
    spec = job_spec(settings, tmp_path / "inputs")
    run_trainer(settings, spec, tmp_path / "check", "check")
    trained = run_trainer(settings, spec, tmp_path / "train", "train")
    model = next(m for m in of_type(trained, StoredModel) if m.kind == "fine_tuned")
    reference = {
        "id": model.id,
        "object_key": model.object_key,
        "sha256": model.sha256,
        "size": model.size,
    }
    before = {(r.model, r.split, r.metric): r.value for r in of_type(trained, SplitResult)}

    spec_dict = spec.model_dump()
    scored = JobSpec.model_validate(
        {
            **spec_dict,
            "method": "evaluate",
            "hyperparameters": {},
            "inputs": [spec_dict["theta0"], reference],
        }
    )
    messages = run_trainer(settings, scored, tmp_path / "evaluate", "train")
    assert messages[-1] == Finished()
    assert of_type(messages, StoredModel) == []
    found = {(r.model, r.split, r.metric): r.value for r in of_type(messages, SplitResult)}
    for split in ("test", "night"):
        for metric in ("accuracy", "nll", "ece"):
            assert found[(model.id, split, metric)] == before[("fine_tuned", split, metric)]
            assert found[("base:tiny", split, metric)] == before[("zero_shot", split, metric)]

    wise = JobSpec.model_validate(
        {**spec_dict, "method": "wise_ft", "hyperparameters": {"alpha": 0.5}, "inputs": [reference]}
    )
    messages = run_trainer(settings, wise, tmp_path / "wise", "train")
    assert messages[-1] == Finished()
    found = {(r.model, r.split, r.metric): r.value for r in of_type(messages, SplitResult)}
    flagged = {key for key in found if key[2] == "shift_flagged"}  # by what is stored alone
    assert {(model, split) for model, split, _ in flagged} == {
        ("wise_ft@0.5", "test"),
        ("wise_ft@0.5", "night"),
    }
    for key in found.keys() - flagged:
        assert found[key] == pytest.approx(before[key], abs=1e-6), key
    assert [m.kind for m in of_type(messages, StoredModel)] == ["fine_tuned"]
