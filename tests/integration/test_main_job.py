"""The main job through real processes: API, inference, worker and trainer, driven by two SDKs."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient
from openai import OpenAI
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from cli.client import make_client
from cli.demo.checks import DownloadedModel, compare_predictions, load_downloaded
from cli.jobs import follow
from cli.main import app
from cli.service import Service
from tests.jobs import colour_archive, service_settings
from tests.services import Overrides


@pytest.fixture(scope="module")
def service(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # Polling once an hour: the doorbell alone starts jobs.
    directory = tmp_path_factory.mktemp("service")
    settings = service_settings(directory, poll_seconds=3600, **of_database())
    with Service(settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: Service) -> OpenAI:
    return make_client(f"{service.address}/v1", service.api_key)


def test_from_upload_to_answers(service: Service, client: OpenAI, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path / "colours.zip")
    with archive.open("rb") as content:
        file = client.files.create(file=("colours.zip", content), purpose="fine-tune")
    assert file.status == "processed"
    knobs = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 8, "n_evaluations": 2}
    job = client.fine_tuning.jobs.create(
        model="base:tiny",
        training_file=file.id,
        method={"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": knobs}},  # type: ignore[arg-type,misc]
        suffix="colours",
        seed=3,
    )
    assert job.status == "validating_files"
    assert job.fine_tuned_model is None

    ended = follow(client, job.id, Console(quiet=True))
    assert ended.status == "succeeded", ended.error
    model_id = str(ended.fine_tuned_model)
    assert model_id.startswith("ft:tiny:colours:")
    extra = ended.model_extra or {}
    statuses = [transition["to"] for transition in extra["transitions"]]
    assert statuses == ["validating_files", "queued", "running", "succeeded"]
    results = extra["results"]
    assert {row["model"] for row in results} == {"zero_shot", "fine_tuned", "wise_ft@0.5"}
    assert {row["split"] for row in results} == {"val", "test", "night"}

    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    sequences = [(event.model_extra or {})["sequence"] for event in events]
    assert sequences == sorted(sequences, reverse=True)
    assert sequences[-1] == 1
    assert len(sequences) == len(set(sequences)) == sequences[0]

    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert 8 in {checkpoint.step_number for checkpoint in checkpoints}
    for checkpoint in checkpoints:
        name = checkpoint.fine_tuned_model_checkpoint
        assert name == f"{model_id}:step-{checkpoint.step_number}"
        assert client.models.retrieve(name).id == name

    files = {client.files.retrieve(id).filename: id for id in ended.result_files}
    assert {"metrics.csv", "results.json", "predictions.parquet", "model.tar"} <= set(files)
    metrics = client.files.content(files["metrics.csv"]).text.splitlines()
    assert metrics[0].startswith("seed,step,loss")
    assert len(metrics) == 9

    tar = tmp_path / "model.tar"
    url = f"{service.address}/v1/models/{model_id}/weights"
    headers = {"Authorization": f"Bearer {service.api_key}"}
    answer = httpx.get(url, headers=headers)
    tar.write_bytes(answer.content)
    again = httpx.get(url, headers={**headers, "Range": "bytes=100-199"})
    assert (again.status_code, again.content) == (206, answer.content[100:200])
    card = httpx.get(
        f"{service.address}/v1/models/{model_id}/files/README.md", headers=headers
    ).text
    assert model_id in card
    downloaded = load_downloaded(tar, tmp_path / "model")
    (tmp_path / "predictions.parquet").write_bytes(
        client.files.content(files["predictions.parquet"]).read()
    )
    for found in compare_predictions(
        downloaded, archive, tmp_path / "predictions.parquet", model="fine_tuned", seed=3
    ):
        assert found.equal == found.images, found

    check_inference(service, client, model_id, archive, downloaded)


def check_inference(
    service: Service, client: OpenAI, model_id: str, archive: Path, downloaded: DownloadedModel
) -> None:
    """Zero-shot and fine-tuned answers through Hugging Face's client, against the weights."""
    with zipfile.ZipFile(archive) as images:
        data = images.read("test/bee/001.png")
    expected = downloaded.probabilities([Image.open(io.BytesIO(data))])[0].tolist()
    base = f"{service.address}/v1/models"
    tuned = InferenceClient(model=f"{base}/{model_id}/image-classification", token=service.api_key)
    found = {item.label: item.score for item in tuned.image_classification(data)}
    assert found == pytest.approx(dict(zip(["ant", "bee", "cat"], expected, strict=True)), abs=1e-4)
    for model in ("base:tiny", model_id):
        zero_shot = InferenceClient(
            model=f"{base}/{model}/zero-shot-image-classification", token=service.api_key
        )
        answers = zero_shot.zero_shot_image_classification(data, ["ant", "bee", "cat"])
        assert {a.label for a in answers} == {"ant", "bee", "cat"}
        assert sum(a.score for a in answers) == pytest.approx(1.0, abs=1e-5)
        assert client.models.retrieve(model).id == model


@pytest.mark.slow  # two jobs to the end, and a third and fourth begun
def test_a_finished_job_is_gone_on_from(
    service: Service, client: OpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the SDK and the command line; sent again it is the same work."""
    archive = colour_archive(tmp_path / "colours.zip", per_class=16)
    with archive.open("rb") as content:
        file = client.files.create(file=("colours.zip", content), purpose="fine-tune")
    knobs = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 5, "n_evaluations": 5}
    first = client.fine_tuning.jobs.create(
        model="base:tiny",
        training_file=file.id,
        method={"type": "ft", "ft": {"hyperparameters": knobs}},  # type: ignore[arg-type,misc]
        seed=3,
    )
    ended = follow(client, first.id, Console(quiet=True))
    assert ended.status == "succeeded", ended.error
    more: Any = {
        "continue_from": first.id,
        "hyperparameters": {"n_steps": 6, "n_evaluations": 6, "warmup_steps": 1},
    }
    second = client.fine_tuning.jobs.create(
        model="base:tiny", training_file=file.id, extra_body=more
    )
    extra = second.model_extra or {}
    assert (extra["theta0"], second.seed) == ("base:tiny", 4)
    assert extra["starts"] == [f"{ended.fine_tuned_model}:step-5"]
    assert second.method is not None and second.method.type == "ft"
    done = follow(client, second.id, Console(quiet=True))
    assert done.status == "succeeded", done.error
    assert (client.models.retrieve(str(done.fine_tuned_model)).model_extra or {})["start"] == (
        f"{ended.fine_tuned_model}:step-5"
    )
    curves = [_validations(client, job) for job in (first.id, second.id)]
    assert curves[1][1] == curves[0][5]  # a first step has a rate of zero

    headers = {"Authorization": f"Bearer {service.api_key}"}
    jobs = f"{service.address}/v1/fine_tuning/jobs"
    asked = httpx.get(f"{jobs}/{second.id}/spec", headers=headers).json()
    estimate = httpx.post(f"{jobs}:estimate", headers=headers, json=asked).json()
    assert (estimate["valid"], estimate["spec_digest"]) == (True, extra["spec_digest"])
    other = httpx.post(f"{jobs}:estimate", headers=headers, json={**asked, "model": "base:no"})
    assert [error["code"] for error in other.json()["errors"]] == ["unknown_model"]

    monkeypatch.setenv("LIPSUM_BASE_URL", f"{service.address}/v1")
    monkeypatch.setenv("LIPSUM_API_KEY", service.api_key)
    command = ["train", file.id, "--model", str(done.fine_tuned_model), "--anchor", "base"]
    ran = CliRunner().invoke(app, [*command, "--method", "ft", "--set", "n_steps=3"])
    assert ran.exit_code == 0, ran.output
    anchored = client.fine_tuning.jobs.retrieve(ran.output.strip())
    anchored_extra = anchored.model_extra or {}
    assert anchored_extra["theta0"] == "base:tiny"
    assert anchored_extra["starts"] == [done.fine_tuned_model]
    command = ["train", file.id, "--model", "base:tiny", "--continue", second.id]
    ran = CliRunner().invoke(app, [*command, "--set", "n_steps=3"])
    assert ran.exit_code == 0, ran.output
    continued = client.fine_tuning.jobs.retrieve(ran.output.strip())
    assert (continued.seed, continued.method and continued.method.type) == (5, "ft")
    for job in (anchored, continued):  # what they would make is of no interest here
        client.fine_tuning.jobs.cancel(job.id)


def _validations(client: OpenAI, job_id: str) -> dict[int, float]:
    """Accuracy after each step, as the job's event of its choice says."""
    events = client.fine_tuning.jobs.list_events(job_id, limit=100)
    data: Any = next(e.data for e in events if "validations" in (e.data or {}))  # type: ignore[operator]
    return {point["step"]: point["accuracy"] for point in data["validations"]}


def test_a_cancelled_job_ends_and_stays_ended(client: OpenAI, tmp_path: Path) -> None:
    archive = colour_archive(tmp_path / "colours.zip", per_class=14)
    with archive.open("rb") as content:
        file = client.files.create(file=("colours.zip", content), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="base:tiny",
        training_file=file.id,
        method={"type": "ft", "ft": {"hyperparameters": {"n_steps": 1_000_000}}},  # type: ignore[arg-type,misc]
    )
    assert client.fine_tuning.jobs.cancel(job.id).status in ("cancelling", "cancelled")
    assert follow(client, job.id, Console(quiet=True)).status == "cancelled"
    with pytest.raises(openai.ConflictError, match="cancelled") as caught:
        client.fine_tuning.jobs.cancel(job.id)
    assert caught.value.code == "job_already_ended"
