"""Every merge as a job: the real pipeline on tiny models, held against the stored weights."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import InvalidSpec
from core.jobs.messages import Progress
from core.learning.methods import registry
from core.learning.methods.auto import Auto
from core.learning.methods.base import TrainingMethod
from core.learning.models import load_directory
from core.learning.packing import pack
from core.learning.randomness import batch_samples
from tests.integration.finished_jobs import (
    FinishedJob,
    plain_answers,
    reference_of,
    rows_of,
    said,
    softmax,
    stored,
    train,
    weights_of,
)
from worker.pipeline.beginnings import starting_head
from worker.pipeline.data import load_data
from worker.pipeline.material import JobMaterial, StoredCandidate, load_input
from worker.pipeline.reports import Reporter
from worker.pipeline.scoring import open_scoreboard
from worker.pipeline.workspace import Workspace

SPLITS = ("val", "test", "night")
METRICS = ("accuracy", "macro_f1", "worst_class", "nll", "brier", "ece")


def theta0(job: FinishedJob) -> dict[str, torch.Tensor]:
    """The base's weights, and the head that both ends of the line share the shape of."""
    (model,) = stored(job.combine("wise_ft", job.models[:1], alpha=0.0))
    return weights_of(job.unpacked(model))


def test_the_ends_of_a_wise_ft_curve_are_the_parents_for_every_seed(finished: FinishedJob) -> None:
    messages = finished.combine("wise_ft", alpha=0.5, alphas=[0.0, 0.5, 1.0])
    rows, before = rows_of(messages), rows_of(finished.messages)
    names = {f"wise_ft@{alpha}" for alpha in ("0", "0.5", "1")} | {"fine_tuned"}
    expected = {(3, "zero_shot")} | {(seed, name) for seed in (3, 4) for name in names}
    assert {(seed, model) for seed, model, _, _ in rows} == expected
    for (seed, model, split, metric), value in rows.items():
        if metric not in METRICS:
            continue
        ends = {"wise_ft@1": (seed, "fine_tuned"), "wise_ft@0": (3, "zero_shot")}
        same = ends.get(model, (seed, model))
        assert value == pytest.approx(rows[(*same, split, metric)], abs=1e-6)
        # The validation slice is that of the training job, for its second seed too.
        assert value == pytest.approx(before[(*same, split, metric)], abs=1e-6)
    fractions = [m.fraction for m in messages if isinstance(m, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1.0)
    models = stored(messages)
    assert [(m.id, m.seed, m.step) for m in models] == [
        ("ft:tiny:wise_ft:test", 3, None),
        ("ft:tiny:wise_ft:test:seed-4", 4, None),
    ]
    check_stored(finished, messages, "wise_ft@0.5")


def check_stored(job: FinishedJob, messages: list, row_name: str) -> None:  # type: ignore[type-arg]
    """The tars, used as a stranger would use them, give the stored predictions."""
    for model in stored(messages):
        directory = job.unpacked(model)
        rows = job.predictions(messages, row_name, model.seed, "test")
        _, logits = plain_answers(directory, job.images(row["key"] for row in rows))
        for probabilities, row in zip(softmax(logits), rows, strict=True):
            assert probabilities[row["label"]] == pytest.approx(row["true_probability"], abs=1e-5)
        classes = json.loads((directory / "classes.json").read_text())
        assert classes["class_subsets"] == {"night": [0, 1]}
        card = (directory / "README.md").read_text()
        assert "weights of step" not in card
        assert f"of `{model.info['inputs'][0]}`" in card


def test_a_slice_of_another_seed_would_score_trained_images(finished: FinishedJob) -> None:
    model = finished.models[1]
    right = finished.combine("wise_ft", [model], seeds=[4])
    assert rows_of(right)[(4, "fine_tuned", "val", "nll")] == pytest.approx(
        rows_of(finished.messages)[(4, "fine_tuned", "val", "nll")], abs=1e-6
    )
    spec = finished.spec.model_copy(update={"held_out_seed": 4, "held_out_is_new": False})
    other = FinishedJob(finished.settings, finished.directory, spec, finished.messages)
    wrong = other.combine("wise_ft", [model], seeds=[4])
    held = [
        {r["key"] for r in finished.predictions(m, "fine_tuned", 4, "val")} for m in (right, wrong)
    ]
    trained_beside = {
        r["key"] for r in finished.predictions(finished.messages, "fine_tuned", 4, "val")
    }
    assert held[0] == trained_beside != held[1]
    assert not any("too good" in line for line in said(right))
    assert any(line.startswith("! one of the models was trained on some") for line in said(wrong))


def test_the_validation_loss_is_the_ce_of_a_batch_drawn_by_seed_and_number(
    finished: FinishedJob, tmp_path: Path
) -> None:
    with open(os.devnull, "wb") as nobody:
        reporter = Reporter(nobody.fileno())
        workspace = Workspace(
            finished.spec, 1, finished.settings, finished.store, reporter, tmp_path
        )
        data = load_data(workspace)
        clip = load_directory(workspace.model_directory(finished.spec.theta0))
        board = open_scoreboard(workspace, data, clip, expected=1)
        head0 = starting_head(clip, data, None)
        theta0 = StoredCandidate("base:tiny", {}, head0, finished.spec.theta0)
        model = load_input(workspace, finished.models[0], head0)
        given = (workspace, data, board, clip, theta0, [model])
        materials = [JobMaterial(*given, seed, number) for number, seed in enumerate((3, 9))]
        weights = dict(model.tensors)
        values = [
            [float(material.validation_loss(4, 3)(weights, number)) for number in (0, 1, 0)]
            for material in materials
        ]
    held_out = finished.predictions(finished.messages, "fine_tuned", 3, "val")
    images = finished.images(row["key"] for row in held_out)
    _, logits = plain_answers(finished.unpacked(finished.models[0]), images)
    labels = np.array([row["label"] for row in held_out])
    nll = -np.log(softmax(logits)[range(len(labels)), labels])
    for seed, (first, second, again) in zip((3, 9), values, strict=True):
        assert first == again != second
        for number, value in ((0, first), (1, second)):
            samples = batch_samples(seed, number, 4, len(labels))
            assert value == pytest.approx(nll[samples].mean(), rel=1e-5)
    assert values[0] != values[1]


def test_fisher_weights_pull_every_weight_its_own_way(finished: FinishedJob) -> None:
    (model,) = stored(finished.combine("wise_ft", finished.models[:1], fisher=True, alpha=0.4))
    start, end = theta0(finished), weights_of(finished.unpacked(finished.models[0]))
    mixed = weights_of(finished.unpacked(model))
    places = []
    for name, tensor in mixed.items():
        low, high = torch.minimum(start[name], end[name]), torch.maximum(start[name], end[name])
        assert bool(((tensor >= low - 1e-6) & (tensor <= high + 1e-6)).all()), name
        moved = (end[name] - start[name]).abs() > 1e-4
        places.append(((tensor - start[name]) / (end[name] - start[name]))[moved])
    along = torch.cat(places)
    assert along.min() < 0.3 and along.max() > 0.5  # not all at 0.4


def test_temperature_changes_no_answer_and_calibrates_validation(finished: FinishedJob) -> None:
    messages = finished.combine("temperature")
    rows = rows_of(messages)
    for seed, model in zip((3, 4), stored(messages), strict=True):
        for split in SPLITS:
            for metric in ("accuracy", "macro_f1", "worst_class"):
                assert (
                    rows[(seed, "temperature", split, metric)]
                    == rows[(seed, "fine_tuned", split, metric)]
                )
        nll = {name: rows[(seed, name, "val", "nll")] for name in ("temperature", "fine_tuned")}
        assert nll["temperature"] < nll["fine_tuned"]
        temperature = model.metrics["temperature"]
        assert any(f"seed {seed}: T is {temperature:.4g}" in line for line in said(messages))
        own, parent = finished.unpacked(model), finished.unpacked(finished.models[seed - 3])
        weights = "open_clip_model.safetensors"
        assert (own / weights).read_bytes() == (parent / weights).read_bytes()
        # T is where the validation images' NLL is lowest, of the stored predictions.
        held_out = finished.predictions(messages, "fine_tuned", seed, "val")
        _, logits = plain_answers(parent, finished.images(row["key"] for row in held_out))
        labels = [row["label"] for row in held_out]

        def validation_nll(
            t: float, logits: np.ndarray = logits, labels: list[int] = labels
        ) -> float:
            return float(-np.log(softmax(logits / t)[range(len(labels)), labels]).mean())

        assert validation_nll(temperature) == pytest.approx(nll["temperature"], abs=1e-4)
        assert 0.06 < temperature < 19  # within the range it is looked for in
        assert validation_nll(temperature) <= min(
            validation_nll(temperature * factor) for factor in (0.97, 1.03)
        )
    check_stored(finished, messages, "temperature")


def test_tpgm_keeps_a_share_of_every_tensor_and_is_the_same_each_time(
    finished: FinishedJob,
) -> None:
    knobs = {"n_steps": 6, "batch_size": 5, "learning_rate": 3e-4}
    runs = [finished.combine("tpgm", finished.models[:1], **knobs) for _ in "ab"]
    models = [stored(messages)[0] for messages in runs]
    assert models[0].sha256 == models[1].sha256
    start, end = theta0(finished), weights_of(finished.unpacked(finished.models[0]))
    shares = {}
    for name, tensor in weights_of(finished.unpacked(models[0])).items():
        deviation = (end[name] - start[name]).double()
        if deviation.norm() == 0:
            assert tensor.equal(end[name])
            continue
        share = float((tensor - start[name]).double().norm() / deviation.norm())
        torch.testing.assert_close(
            tensor.double(), start[name] + share * deviation, rtol=1e-4, atol=1e-6
        )
        shares[name] = share
    assert all(share <= 1 + 1e-5 for share in shares.values())
    assert models[0].metrics["mean_ratio"] == pytest.approx(
        np.mean(list(shares.values())), abs=1e-4
    )
    whole, half = (sum(share >= least for share in shares.values()) for least in (0.999, 0.5))
    assert any(
        f"of {len(shares)} tensors that fine-tuning changed, {whole} keep all of the change, "
        f"{half - whole} half" in line
        for line in said(runs[0])
    )
    assert {name for _, name, _, _ in rows_of(runs[0])} == {"zero_shot", "fine_tuned", "tpgm"}
    check_stored(finished, runs[0], "tpgm")


@pytest.mark.parametrize("recipe", ["uniform", "greedy"])
def test_a_soup_is_the_mean_of_what_went_in(finished: FinishedJob, recipe: str) -> None:
    messages = finished.combine("soup", recipe=recipe)
    (model,) = stored(messages)
    (line,) = [line for line in said(messages) if "into the soup" in line]
    went_in = [m for m in finished.models if m.id in line.partition("soup: ")[2].split(", ")]
    assert len(went_in) == model.metrics["models_in_soup"]
    assert len(went_in) == 2 or recipe == "greedy"
    each = [weights_of(finished.unpacked(member)) for member in went_in]
    for name, tensor in weights_of(finished.unpacked(model)).items():
        mean = torch.stack([state[name] for state in each]).mean(dim=0)
        torch.testing.assert_close(tensor, mean, rtol=1e-6, atol=1e-7)
    rows, before = rows_of(messages), rows_of(finished.messages)
    assert {(seed, name) for seed, name, _, _ in rows} == {(3, "zero_shot"), (3, "soup")}
    if recipe == "greedy":
        best = max(before[(seed, "fine_tuned", "val", "accuracy")] for seed in (3, 4))
        assert rows[(3, "soup", "val", "accuracy")] >= best
    check_stored(finished, messages, "soup")


def test_model_stock_says_how_far_the_models_agree(finished: FinishedJob) -> None:
    messages = finished.combine("model_stock")
    (model,) = stored(messages)
    assert 0 < model.metrics["median_t"] < 1
    (line,) = [line for line in said(messages) if "leave theta0" in line]
    assert f"t {model.metrics['median_t']:.3g} in the median" in line
    start, each = theta0(finished), [weights_of(finished.unpacked(m)) for m in finished.models]
    one, other = ((state["head"] - start["head"]).double() for state in each)
    cosine = float((one * other).sum() / (one.norm() * other.norm()))
    t = 2 * cosine / (cosine + 1)
    expected = start["head"] + t * (one + other) / 2
    found = weights_of(finished.unpacked(model))["head"]
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-4, atol=1e-6)
    check_stored(finished, messages, "model_stock")


@pytest.fixture(scope="module")
def flyp(tmp_path_factory: pytest.TempPathFactory) -> FinishedJob:
    """A model whose head follows from its text tower."""
    return train(tmp_path_factory.mktemp("flyp"), "flyp", (0,))


def test_heads_built_from_the_text_tower_follow_it(flyp: FinishedJob) -> None:
    job = flyp
    wise = job.combine("wise_ft", alpha=0.5, alphas=[1.0])
    rows = rows_of(wise)
    calibrated = job.combine("temperature")
    curve = rows_of(
        job.combine("wise_ft", [reference_of(stored(calibrated)[0])], alpha=0.5, alphas=[1.0])
    )
    for split in SPLITS:
        for metric in ("accuracy", "nll", "ece"):
            key = (0, "wise_ft@1", split, metric)
            assert rows[key] == pytest.approx(rows[(0, "fine_tuned", split, metric)], abs=1e-5)
            # What calibration did is not lost where the head is built again.
            found = rows_of(calibrated)[(0, "temperature", split, metric)]
            assert curve[key] == pytest.approx(found, abs=1e-5)
    check_stored(job, wise, "wise_ft@0.5")
    learned = job.combine("tpgm", n_steps=3, batch_size=5)
    check_stored(job, learned, "tpgm")
    start = weights_of(job.unpacked(stored(job.combine("wise_ft", alpha=0.0))[0]))
    end = weights_of(job.unpacked(job.models[0]))
    moved = weights_of(job.unpacked(stored(learned)[0]))
    # Adam's first steps are of full size for whatever the loss hangs on: the text tower is.
    name = "token_embedding.weight"
    share = float((moved[name] - start[name]).norm() / (end[name] - start[name]).norm())
    assert share != pytest.approx(0.5, abs=1e-4)

    with pytest.raises(InvalidSpec, match="temperature 1 and ft:tiny:temperature:test") as caught:
        job.combine("soup", [job.models[0], reference_of(stored(calibrated)[0])])
    assert caught.value.code == "cannot_combine"


def test_heads_of_two_kinds_make_no_soup(finished: FinishedJob, flyp: FinishedJob) -> None:
    foreign = finished.store.put_bytes(
        "jobs/foreign/model.tar", flyp.store.read_bytes(flyp.models[0].object_key)
    )
    other = flyp.models[0].model_copy(update={"object_key": foreign.key, "id": "ft:other"})
    with pytest.raises(InvalidSpec, match="'head' is in input 1 and not in input 2") as caught:
        finished.combine("soup", [finished.models[0], other], recipe="uniform")
    assert (caught.value.code, caught.value.param) == ("cannot_combine", "method.soup.inputs")


def test_a_model_of_other_classes_is_refused(finished: FinishedJob, tmp_path: Path) -> None:
    model = finished.models[0]
    shutil.copytree(finished.unpacked(model), tmp_path / "other")
    path = tmp_path / "other" / "classes.json"
    path.write_text(path.read_text().replace('"bee"', '"wasp"'))
    pack(tmp_path / "other", tmp_path / "other.tar")
    kept = finished.store.put_file("jobs/wasps/model.tar", tmp_path / "other.tar")
    other = model.model_copy(update={"object_key": kept.key, "sha256": kept.sha256, "id": "ft:w"})
    with pytest.raises(
        InvalidSpec, match="class 'bee' is in training_file and not in ft:w"
    ) as found:
        finished.combine("wise_ft", [other])
    assert (found.value.code, found.value.param) == ("class_list_differs", "training_file")


def test_a_new_training_method_needs_nothing_here() -> None:
    """Every entry is of a kind that the trainer process knows what to do with."""
    for method in registry().values():
        assert method.kind in ("training", "combination", "evaluation")
        trains = issubclass(method, TrainingMethod) or method is Auto
        assert trains == (method.kind == "training")
