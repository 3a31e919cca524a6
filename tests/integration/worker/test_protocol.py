"""The evaluation protocol through the real pipeline: every number again, in NumPy."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from scipy import optimize, stats

from core.errors import InvalidSpec
from core.jobs.messages import StoredModel
from core.jobs.spec import JobSpec
from core.learning.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE
from core.learning.models import load_directory, pick_device
from core.learning.pixels import EvaluationTransform
from core.learning.random_text import DrawnTexts
from core.learning.shifts import corrupt
from core.objects import ObjectStore
from core.settings import Settings
from tests.jobs import COLOURS, colour_archive, job_spec
from tests.pipeline import Ran, make_settings, run_here
from worker.pipeline.data import load_data
from worker.pipeline.evaluating import run_evaluation
from worker.pipeline.export import write_results
from worker.pipeline.scoring import open_scoreboard
from worker.pipeline.workspace import Workspace

FOG, NOISE = "corruption.fog.3", "corruption.gaussian_noise.5"
MODELS = ("zero_shot", "wise_ft@0.5", "fine_tuned")
SPLITS = ("val", "test", "night", FOG, NOISE)
BASELINES = {"night": [(0.2, 0.1), (0.3, 0.2), (0.35, 0.3)]}


def grouped_archive(path: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """`colour_archive` with every image in a group of even or odd numbers."""
    colour_archive(path)
    with zipfile.ZipFile(path, "a") as archive:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("file", "group"))
        for name in archive.namelist():
            if name not in leave_out:
                rows.writerow((name, "odd" if int(Path(name).stem) % 2 else "even"))
        archive.writestr("groups.csv", text.getvalue())
    return path


@dataclass(frozen=True)
class Job:
    settings: Settings
    spec: JobSpec
    ran: Ran
    directory: Path

    def answers(self, model: str, split: str) -> dict[str, np.ndarray]:
        """Of one model and split: labels, groups and log-probabilities (N, 3), from Parquet."""
        rows = [
            row for row in self.ran.predictions() if (row["model"], row["split"]) == (model, split)
        ]
        log_p = np.full((len(rows), len(COLOURS)), -np.inf)
        for place, row in enumerate(rows):
            top = zip(row["top_labels"], row["top_probabilities"], strict=True)
            for label, probability in top:
                log_p[place, label] = math.log(probability) if probability else -np.inf
        return {
            "label": np.array([row["label"] for row in rows]),
            "group": np.array([row["group"] for row in rows]),
            "key": np.array([row["key"] for row in rows]),
            "log_p": log_p,
            "predicted": np.array([row["top_labels"][0] for row in rows]),
        }

    def value(self, model: str, split: str, metric: str) -> float:
        return self.ran.row(model, split, metric).value


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A training job with everything the protocol has."""
    directory = tmp_path_factory.mktemp("protocol")
    settings = make_settings(directory)
    archive = grouped_archive(directory / "grouped.zip")
    spec = job_spec(settings, directory / "inputs", archive=archive).model_copy(
        update={
            "corruptions": [FOG, NOISE],
            "baselines": BASELINES,
            "averages": {"shifted": ["night"], "dark": ["night", FOG]},
        }
    )
    return Job(settings, spec, run_here(settings, spec, directory / "work"), directory)


def softmax_nll(log_p: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = log_p / temperature
    normaliser = np.log(np.exp(scaled).sum(axis=1))
    return float((normaliser - scaled[np.arange(len(labels)), labels]).mean())


def ece(probabilities: np.ndarray, labels: np.ndarray) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_the_rows_are_all_there(job: Job) -> None:
    scores = {
        *("accuracy", "mean_per_class_recall", "macro_f1", "worst_class", "worst_group"),
        *("nll", "brier", "ece"),
    }
    calibrated = {"nll_calibrated", "ece_calibrated"}
    tested = {"accuracy_change", "mcnemar_p", "mcnemar_p_holm"}
    for model in MODELS:
        drift = set() if model == "zero_shot" else {"energy_gap", "feature_distortion"}
        compared = set() if model == "zero_shot" else tested
        for split in SPLITS:
            expected = scores | drift
            expected |= {"temperature"} if split == "val" else calibrated | compared
            expected |= {"effective_robustness"} if split == "night" else set()
            flags = model == "fine_tuned" and split != "val"  # what is stored knows its domain
            expected |= {"shift_flagged"} if flags else set()
            assert job.ran.metrics(model, split) == expected, (model, split)
    keys = [(r.seed, r.model, r.split, r.metric) for r in job.ran.results]
    assert len(keys) == len(set(keys))
    assert all(math.isfinite(r.value) for r in job.ran.results)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("split", SPLITS)
def test_scores_again(job: Job, model: str, split: str) -> None:
    found = job.answers(model, split)
    right = found["predicted"] == found["label"]
    assert job.value(model, split, "accuracy") == pytest.approx(right.mean())
    by_group = {group: right[found["group"] == group].mean() for group in ("even", "odd")}
    assert job.value(model, split, "worst_group") == pytest.approx(min(by_group.values()))
    probabilities = np.exp(found["log_p"])
    assert job.value(model, split, "ece") == pytest.approx(
        ece(probabilities, found["label"]), abs=1e-6
    )
    worst = min(right[found["label"] == label].mean() for label in set(found["label"]))
    assert job.value(model, split, "worst_class") == pytest.approx(worst)


@pytest.mark.parametrize("model", MODELS)
def test_temperature_again(job: Job, model: str) -> None:
    val = job.answers(model, "val")
    best = optimize.minimize_scalar(
        lambda log_t: softmax_nll(val["log_p"], val["label"], math.exp(log_t)),
        bounds=(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)),
        method="bounded",
    )
    temperature = job.value(model, "val", "temperature")
    assert temperature == pytest.approx(math.exp(best.x), rel=1e-3)
    assert job.ran.row(model, "val", "temperature").n == len(val["label"])
    for split in SPLITS[1:]:
        found = job.answers(model, split)
        nll = softmax_nll(found["log_p"], found["label"], temperature)
        assert job.value(model, split, "nll_calibrated") == pytest.approx(nll, rel=1e-4)
        scaled = softmax(found["log_p"] / temperature)
        assert job.value(model, split, "ece_calibrated") == pytest.approx(
            ece(scaled, found["label"]), abs=1e-5
        )


@pytest.mark.parametrize("model", MODELS[1:])
def test_significance_again(job: Job, model: str) -> None:
    p_values: dict[str, float] = {}
    for split in SPLITS[1:]:
        after, before = job.answers(model, split), job.answers("zero_shot", split)
        assert list(after["key"]) == list(before["key"])
        a, b = (side["predicted"] == side["label"] for side in (after, before))
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        discordant = only_a + only_b
        p_values[split] = stats.binomtest(only_a, discordant).pvalue if discordant else 1.0
        change = job.ran.row(model, split, "accuracy_change")
        assert change.value == pytest.approx(a.mean() - b.mean())
        assert change.low is not None and change.low <= change.value <= (change.high or 0)
        assert change.n == len(a)
        assert job.value(model, split, "mcnemar_p") == pytest.approx(p_values[split])
    for family in (("test", "night"), (FOG, NOISE)):  # corrected apart
        small, large = sorted(family, key=lambda split: p_values[split])
        holm = min(1.0, 2 * p_values[small])
        assert job.value(model, small, "mcnemar_p_holm") == pytest.approx(holm)
        expected = max(holm, p_values[large])
        assert job.value(model, large, "mcnemar_p_holm") == pytest.approx(expected)


def test_drift_again(job: Job) -> None:
    """From the stored weights, the archive's images and open_clip alone."""
    model = job.ran.models[0]
    directories = {"zero_shot": job.directory / "inputs" / "base"}
    directories["fine_tuned"] = unpacked(job, model)
    names = [str(name) for name in job.answers("fine_tuned", "night")["key"]]
    features = {}
    for name, directory in directories.items():
        clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{directory}")
        with zipfile.ZipFile(job.directory / "grouped.zip") as archive, torch.no_grad():
            images = [preprocess(Image.open(io.BytesIO(archive.read(key)))) for key in names]
            found = clip.eval().encode_image(torch.stack(images)).double().numpy()
        features[name] = found / np.linalg.norm(found, axis=1, keepdims=True)
        if name == "zero_shot":
            ids = DrawnTexts(load_directory(directory).text, 2**31).token_ids(0, 80, 8)
            padded = torch.nn.functional.pad(ids, (0, 77 - ids.shape[1]))
            with torch.no_grad():
                texts = clip.encode_text(padded, normalize=True).double().numpy()
            scale = float(clip.logit_scale.detach().exp())
    moved = features["fine_tuned"] - features["zero_shot"]
    distortion = (moved**2).sum(axis=1).mean()
    gap = ((scale * moved @ texts.T) ** 2).mean()
    assert job.value("fine_tuned", "night", "feature_distortion") == pytest.approx(
        distortion, rel=1e-3
    )
    assert job.value("fine_tuned", "night", "energy_gap") == pytest.approx(gap, rel=1e-3)


def unpacked(job: Job, model: StoredModel) -> Path:
    directory = job.directory / "unpacked"
    directory.mkdir(exist_ok=True)
    for name in model.members:
        (directory / name).write_bytes(job.ran.member(model, name))
    return directory


def test_built_in_shifts_show_what_corrupt_makes(job: Job) -> None:
    clip = load_directory(job.directory / "inputs" / "base")
    transform = EvaluationTransform(clip.preprocess_config)
    workspace = workspace_of(job)
    data = load_data(workspace)
    board = open_scoreboard(workspace, data, clip, expected=1)
    split = next(split for split in data.scored if split.name == FOG)
    with zipfile.ZipFile(job.directory / "grouped.zip") as archive:
        for place in (0, 7, 17):
            entry = split.entries[place]
            image = Image.open(io.BytesIO(archive.read(entry.key))).convert("RGB")
            shown = corrupt(image, "fog", 3, seed=0, key=entry.pixel_digest)
            assert np.array_equal(board.pixels[FOG].images[place], transform(shown))
            assert np.array_equal(board.pixels["test"].images[place], transform(image))
    assert [s.name for s in data.selecting] == ["val"]


def workspace_of(job: Job) -> Workspace:
    class Silent:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **named: None

    store = ObjectStore.from_settings(job.settings)
    return Workspace(job.spec, 1, job.settings, store, Silent(), job.directory)  # type: ignore[arg-type]


def cached(job: Job) -> dict[str, int]:
    root = job.settings.cache_directory
    return {str(path.relative_to(root)): path.stat().st_ino for path in root.glob("*/*")}


def test_a_second_job_makes_no_pixels_and_finds_the_same(job: Job) -> None:
    before = cached(job)
    assert sum(name.startswith("evaluation-pixels") for name in before) >= len(SPLITS)
    again = run_here(job.settings, job.spec, job.directory / "again")
    assert cached(job) == before
    assert again.results == job.ran.results
    assert again.predictions() == job.ran.predictions()


def test_the_contact_sheet_is_a_result_file(job: Job) -> None:
    stored = job.ran.store.read_bytes(job.ran.artifacts["corruptions.png"].object_key)
    sheet = Image.open(io.BytesIO(stored))
    assert sheet.size == (110 + 6 * 116, 2 * 116)  # a row for fog, one for noise


def test_effective_robustness_again(job: Job) -> None:
    x, y = (np.log(np.array(side) / (1 - np.array(side))) for side in zip(*BASELINES["night"],
                                                                          strict=True))  # fmt: skip
    slope, intercept = np.polyfit(x, y, 1)
    document = {line["model"]: line for line in job.ran.document()["effective_robustness"]}
    for model in MODELS:
        id_accuracy = job.value(model, "test", "accuracy")
        logit = math.log(id_accuracy / (1 - id_accuracy))
        expected = 1 / (1 + math.exp(-(slope * logit + intercept)))
        row = job.ran.row(model, "night", "effective_robustness")
        assert row.value == pytest.approx(job.value(model, "night", "accuracy") - expected)
        assert row.n == 3
        assert document[model]["extrapolated"] is not bool(0.2 <= id_accuracy <= 0.35)
        said = any(f"Effective robustness of {model} (" in n for n in job.ran.document()["notes"])
        assert said is document[model]["extrapolated"]


def test_results_name_the_averages_members(job: Job) -> None:
    document = job.ran.document()
    json.dumps(document, allow_nan=False)
    assert {a["name"]: a["members"] for a in document["averages"]} == job.spec.averages
    dark = document["averages"][1]
    values = {(v["model"], v["metric"]): v["value"] for v in dark["values"]}
    for model in MODELS:
        mean = np.mean([job.value(model, split, "nll") for split in ("night", FOG)])
        assert values[model, "nll"] == pytest.approx(mean)
    card = job.ran.member(job.ran.models[0], "README.md").decode()
    assert f"- dark: night (2 classes), {FOG}" in card
    assert "worst group %" in card
    assert "NLL at T" in card


def test_partly_grouped_splits_have_no_worst_group(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    archive = grouped_archive(tmp_path / "partly.zip", leave_out=("test/bee/002.png",))
    ran = run_here(settings, job_spec(settings, tmp_path / "in", archive=archive), tmp_path / "w")
    assert "worst_group" not in ran.metrics("fine_tuned", "test")
    assert "worst_group" in ran.metrics("fine_tuned", "night")
    (warning,) = [event for event in ran.events if "groups.csv" in event.message]
    assert warning.level == "warn"
    assert "1 of 18 images of test" in warning.message
    assert "test/bee/002.png" in warning.message
    groups = {row["group"] for row in ran.predictions() if row["split"] == "test"}
    assert groups == {None}


# Jobs that train nothing.


@pytest.fixture
def scored(job: Job, tmp_path: Path) -> JobSpec:
    """An evaluation of theta0 and of what the job made of it, over the job's splits."""
    model = job.ran.models[0]
    reference = {
        "id": model.id,
        "object_key": model.object_key,
        "sha256": model.sha256,
        "size": model.size,
        "base": model.info["base"],
    }
    values = {"method": "evaluate", "hyperparameters": {}, "alphas": []}
    inputs = [reference, job.spec.theta0.model_dump()]
    return JobSpec.model_validate({**job.spec.model_dump(), **values, "inputs": inputs})


def test_an_evaluation_holds_models_against_theta0(
    job: Job, scored: JobSpec, tmp_path: Path
) -> None:
    ran = run_here(job.settings, scored, tmp_path, run_evaluation)
    model = job.ran.models[0].id
    for split in SPLITS:
        expected = job.ran.metrics("fine_tuned", split)
        assert ran.metrics(model, split) == expected
        for metric in expected:
            assert ran.row(model, split, metric).value == pytest.approx(
                job.value("fine_tuned", split, metric), abs=1e-5
            ), (split, metric)
    assert "accuracy_change" not in ran.metrics("base:tiny", "test")
    assert "energy_gap" not in ran.metrics("base:tiny", "test")


def test_a_stranger_is_compared_and_not_measured(job: Job, scored: JobSpec, tmp_path: Path) -> None:
    inputs = [model.model_copy(update={"base": "base:other"}) for model in scored.inputs]
    other = scored.model_copy(update={"inputs": inputs})
    ran = run_here(job.settings, other, tmp_path, run_evaluation)
    metrics = ran.metrics(job.ran.models[0].id, "test")
    assert "mcnemar_p" in metrics
    assert not metrics & {"energy_gap", "feature_distortion"}


def test_without_val_there_is_no_temperature(job: Job, scored: JobSpec, tmp_path: Path) -> None:
    splits = [split for split in scored.splits if split.name != "train"]
    changes = {"splits": splits, "corruptions": [], "baselines": {}, "inputs": []}
    ran = run_here(job.settings, scored.model_copy(update=changes), tmp_path, run_evaluation)
    metrics = {row.metric for row in ran.results}
    assert "accuracy" in metrics
    assert not metrics & {"temperature", "nll_calibrated", "ece_calibrated", "mcnemar_p"}


def test_built_in_shifts_of_val_where_there_is_no_test(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    spec = job_spec(settings, tmp_path / "in")
    splits = [split for split in spec.splits if split.name != "test"]
    spec = spec.model_copy(update={"splits": splits, "corruptions": [FOG]})
    ran = run_here(settings, spec, tmp_path / "w")
    assert ran.row("fine_tuned", FOG, "accuracy").n == ran.row("fine_tuned", "val", "accuracy").n
    assert "nll_calibrated" in ran.metrics("fine_tuned", FOG)
    assert any("made of val, by whose labels" in note for note in ran.document()["notes"])


def test_shifts_beyond_the_cache_are_refused(job: Job, tmp_path: Path) -> None:
    small = job.settings.model_copy(update={"cache_bytes": 2 * 18 * 16 * 16 * 3 - 1})
    with pytest.raises(InvalidSpec, match="27648 bytes of pixels.*LIPSUM_CACHE_BYTES") as caught:
        run_here(small, job.spec, tmp_path)
    assert caught.value.code == "too_many_corruptions"


# Answers of anything.


def score_answers_of(log_probabilities: torch.Tensor) -> Any:
    """A duty that scores theta0, then something that answers every image alike."""

    def duty(workspace: Workspace) -> None:
        data = load_data(workspace)
        clip = load_directory(workspace.model_directory(workspace.spec.theta0))
        board = open_scoreboard(workspace, data, clip.to(pick_device("cpu")), expected=1)
        for name, answer in (("zero_shot", torch.zeros(3)), ("mixture", log_probabilities)):
            board.score_answers(name, 0, lambda split, a=answer: a.expand(len(split.keys), 3))
        write_results(workspace, board)

    return duty


def test_a_mixture_is_calibrated_and_compared(job: Job, tmp_path: Path) -> None:
    duty = score_answers_of(torch.tensor([0.7, 0.2, 0.1]).log())
    ran = run_here(job.settings, job.spec, tmp_path, duty)
    assert {"nll_calibrated", "mcnemar_p_holm", "worst_group"} <= ran.metrics("mixture", "test")
    assert not ran.metrics("mixture", "test") & {"energy_gap", "feature_distortion"}
    assert ran.row("mixture", "test", "accuracy").value == pytest.approx(1 / 3)


def test_answers_that_rule_a_true_class_out_have_no_temperature(job: Job, tmp_path: Path) -> None:
    duty = score_answers_of(torch.tensor([0.6, 0.4, 0.0]).log())
    ran = run_here(job.settings, job.spec, tmp_path, duty)
    (warning,) = [e for e in ran.events if "no temperature is fitted for mixture" in e.message]
    assert warning.level == "warn"
    assert "nll_calibrated" not in ran.metrics("mixture", "test")
    assert "nll_calibrated" in ran.metrics("zero_shot", "test")
    json.dumps(ran.document(), allow_nan=False)  # its NLL is infinite
