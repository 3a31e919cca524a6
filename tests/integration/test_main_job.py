"""The main job through real processes: API, inference, worker and trainer, driven by two SDKs."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient
from openai import OpenAI
from PIL import Image
from rich.console import Console

from cli.client import make_client
from cli.demo.checks import DownloadedModel, compare_predictions, load_downloaded
from cli.jobs import follow
from cli.service import Service
from tests.jobs import colour_archive, service_settings


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # Polling once an hour: the doorbell alone starts jobs.
    settings = service_settings(tmp_path_factory.mktemp("service"), poll_seconds=3600)
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
