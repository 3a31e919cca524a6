"""Models that answer together, from the job that makes them to the process that serves them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch

from api.serving.loaded_model import load_model
from core.errors import StorageFault
from core.jobs.messages import Message, StoredModel
from core.learning.models import load_directory
from core.learning.packing import pack
from core.prediction import Prediction, Score
from tests.integration.finished_jobs import (
    Array,
    FinishedJob,
    plain_answers,
    reference_of,
    rows_of,
    said,
    softmax,
    stored,
    train,
)
from tests.integration.serving import asked, encoded, stored_weights

MEMBER_FILES = {
    "open_clip_model.safetensors",
    "open_clip_config.json",
    "head.safetensors",
    "classes.json",
}


@pytest.fixture(scope="module")
def vrf(finished: FinishedJob) -> list[Message]:
    return finished.combine("vrf")


@pytest.fixture(scope="module")
def ensemble(finished: FinishedJob) -> list[Message]:
    return finished.combine("ensemble", weights=[3.0, 1.0])


def vrf_answers(directory: Path, images: list[Any], columns: list[int]) -> Array:
    """The formula, of the stored files, in float64."""
    features, fine_tuned = plain_answers(directory / "fine_tuned", images)
    _, zero_shot = plain_answers(directory / "zero_shot", images)
    with safetensors.safe_open(directory / "vrf.safetensors", "np") as file:
        bank = file.get_tensor("bank").astype(np.float64)
        constants = json.loads(file.metadata()["vrf"])
    distances = ((features[:, None] - bank[None]) ** 2).sum(axis=2)
    d = np.sort(distances, axis=1)[:, constants["k"] - 1]
    omega = 1 / (1 + np.exp((d - constants["a"]) / constants["b"]))[:, None]
    answers = np.zeros_like(zero_shot)
    answers[:, columns] = omega * softmax(fine_tuned[:, columns] / constants["T_ft"]) + (
        1 - omega
    ) * softmax(zero_shot[:, columns] / constants["T_zs"])
    return answers


def ensemble_answers(directory: Path, images: list[Any], columns: list[int]) -> Array:
    each = [plain_answers(directory / f"member_{n}", images)[1] for n in (1, 2)]
    answers = np.zeros_like(each[0])
    answers[:, columns] = 0.75 * softmax(each[0][:, columns]) + 0.25 * softmax(each[1][:, columns])
    return answers


@pytest.mark.parametrize("name", ["vrf", "ensemble"])
def test_rows_are_the_formulas_over_the_stored_tar(
    finished: FinishedJob, name: str, request: pytest.FixtureRequest
) -> None:
    messages = request.getfixturevalue(name)
    expected_of = {"vrf": vrf_answers, "ensemble": ensemble_answers}[name]
    rows = rows_of(messages)
    for model in stored(messages):
        for split, columns in (("val", [0, 1, 2]), ("test", [0, 1, 2]), ("night", [0, 1])):
            predictions = finished.predictions(messages, name, model.seed, split)
            images = finished.images(row["key"] for row in predictions)
            answers = expected_of(finished.unpacked(model), images, columns)
            labels = [row["label"] for row in predictions]
            true = answers[range(len(labels)), labels]
            np.testing.assert_allclose(
                true, [r["true_probability"] for r in predictions], atol=1e-5
            )
            assert answers.argmax(axis=1).tolist() == [r["top_labels"][0] for r in predictions]
            assert rows[(model.seed, name, split, "nll")] == pytest.approx(
                -np.log(true).mean(), rel=1e-3
            )


def test_vrf_is_made_once_for_each_seed(finished: FinishedJob, vrf: list[Message]) -> None:
    models = stored(vrf)
    assert [(m.id, m.seed) for m in models] == [
        ("ft:tiny:vrf:test", 3),
        ("ft:tiny:vrf:test:seed-4", 4),
    ]
    assert {(seed, model) for seed, model, _, _ in rows_of(vrf)} == {
        (3, "zero_shot"),
        *((seed, model) for seed in (3, 4) for model in ("fine_tuned", "vrf")),
    }
    for model, parent in zip(models, finished.models, strict=True):
        assert model.info["mixture"] == {"zero_shot": "base:tiny", "fine_tuned": parent.id}
        assert set(model.metrics) == {"bank", "k", "a", "b", "T_zs", "T_ft"}
        names = {"SHA256SUMS", "README.md", "classes.json", "vrf.safetensors"}
        names |= {
            f"{folder}/{file}" for folder in ("zero_shot", "fine_tuned") for file in MEMBER_FILES
        }
        own = {"calibration.json", "fine_tuned/statistics.safetensors"}
        assert set(model.members) == names | own
        own, before = finished.unpacked(model) / "fine_tuned", finished.unpacked(parent)
        for file in ("open_clip_model.safetensors", "head.safetensors", "statistics.safetensors"):
            assert (own / file).read_bytes() == (before / file).read_bytes()
        packed = finished.store.read_bytes(model.object_key)
        offset, size = model.members["fine_tuned/head.safetensors"]
        assert packed[offset : offset + size] == (own / "head.safetensors").read_bytes()
    assert any(line.startswith("seed 4: the bank has") for line in said(vrf))


def test_the_bank_is_what_zero_shot_fails_on(finished: FinishedJob, vrf: list[Message]) -> None:
    """Recomputed from the images that the trainer kept, without the held-out ones."""
    model = stored(vrf)[0]
    held_out = {row["key"] for row in finished.predictions(vrf, "vrf", 3, "val")}
    keys = [
        f"train/{name}/{n:03d}.png"
        for name in ("ant", "bee", "cat")
        for n in range(20)
        if f"train/{name}/{n:03d}.png" not in held_out
    ]
    labels = np.array([("ant", "bee", "cat").index(key.split("/")[1]) for key in keys])
    directory, images = finished.unpacked(model), finished.images(keys)
    features, tuned = plain_answers(directory / "fine_tuned", images)
    _, zero_shot = plain_answers(directory / "zero_shot", images)
    failed = (tuned.argmax(axis=1) == labels) & (zero_shot.argmax(axis=1) != labels)
    bank = safetensors.torch.load_file(directory / "vrf.safetensors")["bank"].numpy()
    assert model.metrics["bank"] == failed.sum() == len(bank) > 0
    for row in features[failed]:
        assert np.abs(bank - row).max(axis=1).min() < 1e-5


def test_vrf_of_a_model_that_learnt_nothing_warns(finished: FinishedJob) -> None:
    (still,) = stored(finished.combine("wise_ft", finished.models[:1], alpha=0.0))
    messages = finished.combine("vrf", [reference_of(still)])
    assert any("! fine-tuning corrects no training image" in line for line in said(messages))
    assert stored(messages)[0].metrics["bank"] == 0
    rows = rows_of(messages)
    for split in ("test", "night"):
        assert rows[(3, "vrf", split, "accuracy")] == rows[(3, "fine_tuned", split, "accuracy")]
    run_snippet(finished, stored(messages)[0], finished.images(["test/ant/000.png"])[0])


@pytest.mark.parametrize("space", ["probabilities", "logits"])
def test_a_model_together_with_itself_is_that_model(finished: FinishedJob, space: str) -> None:
    messages = finished.combine("ensemble", [finished.models[0]] * 2, space=space)
    rows, before = rows_of(messages), rows_of(finished.messages)
    for split in ("val", "test", "night"):
        for metric in ("accuracy", "macro_f1", "nll", "brier", "ece"):
            value = rows[(3, "ensemble", split, metric)]
            assert value == pytest.approx(before[(3, "fine_tuned", split, metric)], abs=1e-6)
    run_snippet(finished, stored(messages)[0], finished.images(["test/ant/000.png"])[0])


def test_the_card_says_how_to_use_it(
    finished: FinishedJob, vrf: list[Message], ensemble: list[Message]
) -> None:
    """The card's own Python, run as it stands, gives the stored predictions."""
    for name, messages in (("vrf", vrf), ("ensemble", ensemble)):
        model = stored(messages)[0]
        for row in finished.predictions(messages, name, model.seed, "test")[::9]:
            (image,) = finished.images([row["key"]])
            found = run_snippet(finished, model, image)
            assert found[row["label"]] == pytest.approx(row["true_probability"], abs=1e-5)
        card = (finished.unpacked(model) / "README.md").read_text()
        assert all(f"`{name}`" in card for name in model.info["inputs"])


def run_snippet(job: FinishedJob, model: StoredModel, image: Any) -> list[float]:
    card = (job.unpacked(model) / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    names: dict[str, Any] = {"image": image}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(job.unpacked(model))
        exec(code, names)
    assert names["classes"] == ["ant", "bee", "cat"]
    probabilities: list[float] = names["probabilities"][0].tolist()
    return probabilities


def test_mixtures_are_scored_again_as_they_were(
    finished: FinishedJob, vrf: list[Message], ensemble: list[Message]
) -> None:
    models = [stored(vrf)[0], stored(ensemble)[0]]
    rows = rows_of(finished.combine("evaluate", [reference_of(model) for model in models]))
    for name, model, messages in zip(("vrf", "ensemble"), models, (vrf, ensemble), strict=True):
        before = {key[2:]: v for key, v in rows_of(messages).items() if key[:2] == (3, name)}
        assert {metric for _, metric in before} >= {"accuracy", "nll", "ece"}
        for split in ("val", "test", "night"):
            for metric in ("accuracy", "nll", "ece"):
                found = rows[(3, model.id, split, metric)]
                assert found == pytest.approx(before[(split, metric)], abs=1e-6)


def ask(job: FinishedJob, model: StoredModel, images: list[Any]) -> list[list[Score]]:
    """What the inference process's own engine answers."""
    pngs = encoded(images)
    prediction = Prediction(model=stored_weights(model), image_sizes=[len(png) for png in pngs])
    return asked(job.settings, lambda engine: engine.predict(prediction, pngs)).images


@pytest.mark.parametrize("name", ["vrf", "ensemble"])
def test_the_inference_process_gives_the_stored_predictions(
    finished: FinishedJob, name: str, request: pytest.FixtureRequest
) -> None:
    messages = request.getfixturevalue(name)
    for model in stored(messages):
        rows = finished.predictions(messages, name, model.seed, "test")
        images = finished.images(row["key"] for row in rows)
        for answer, row in zip(ask(finished, model, images), rows, strict=True):
            assert [("ant", "bee", "cat")[i] for i in row["top_labels"]] == [
                s.label for s in answer
            ]
            assert [score.score for score in answer] == pytest.approx(
                row["top_probabilities"], abs=1e-4
            )


def test_what_auto_makes_is_served_and_used_as_its_card_says(tmp_path: Path) -> None:
    job = train(tmp_path, "auto", seeds=(3,))
    (model,) = stored(job.messages)
    assert 0 < model.metrics["ceiling"] < 1  # else it would be VRF's own formula
    rows = job.predictions(job.messages, "auto", 3, "test")[::5]
    images = job.images(row["key"] for row in rows)
    for image, row, answer in zip(images, rows, ask(job, model, images), strict=True):
        found = run_snippet(job, model, image)
        assert found[row["label"]] == pytest.approx(row["true_probability"], abs=1e-5)
        scores = {score.label: score.score for score in answer}
        label = ("ant", "bee", "cat")[row["label"]]
        assert scores[label] == pytest.approx(row["true_probability"], abs=1e-4)


def test_a_mixture_takes_the_room_of_all_its_members(
    finished: FinishedJob, vrf: list[Message]
) -> None:
    model = stored(vrf)[0]
    cache = finished.settings.cache_directory
    loaded = load_model(stored_weights(model), finished.store, cache, torch.device("cpu"))
    members = [load_directory(finished.unpacked(model) / name) for name in model.info["mixture"]]
    of_towers = sum(t.nbytes for member in members for t in member.model.state_dict().values())
    bank = int(model.metrics["bank"]) * 8 * 4
    heads = 2 * 8 * 3 * 4
    domain = 3 * 4 * (8 * 8 + 3 * 8)  # of the fine-tuned member alone
    assert loaded.bytes == of_towers + bank + heads + domain


def test_a_mixture_whose_constants_mean_nothing_is_a_storage_fault(
    finished: FinishedJob, vrf: list[Message], tmp_path: Path
) -> None:
    shutil.copytree(finished.unpacked(stored(vrf)[0]), tmp_path / "copy")
    safetensors.torch.save_file({"bank": torch.ones(1, 8)}, tmp_path / "copy" / "vrf.safetensors")
    members = pack(tmp_path / "copy", tmp_path / "copy.tar")
    digest = hashlib.sha256((tmp_path / "copy.tar").read_bytes()).hexdigest()
    kept = finished.store.put_file("jobs/broken/model.tar", tmp_path / "copy.tar")
    broken = stored(vrf)[0].model_copy(
        update={"object_key": kept.key, "sha256": digest, "members": members}
    )
    with pytest.raises(StorageFault, match="cannot be loaded: vrf.safetensors has no T_ft"):
        ask(finished, broken, finished.images(["test/ant/000.png"]))
