"""The demo's steps in their order; any that fails ends it with a non-zero status."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
import zipfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import torch
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob
from PIL import Image
from rich.console import Console
from rich.table import Table

from cli.client import make_client
from cli.demo.checks import DownloadedModel, compare_predictions, load_downloaded
from cli.demo.table import HEADER, SHIFTED, table_rows
from cli.jobs import follow
from cli.ports import free_ports
from cli.provenance import commit, machine
from cli.service import NotReady, Service
from cli.tables import to_rows, wide_console
from core.demo.world import CLASSES, write_archives
from core.learning.recipes import find_recipe
from core.learning.report import ResultRow
from core.settings import Settings

MODEL = "base:demo"
# The choice went by accuracy on a validation slice of `real` alone; docs/demo.md says what had
# been seen before it was made.
HYPERPARAMETERS = dict(find_recipe("demo").hyperparameters)
TRAIN_PER_CLASS = 400
TEST_PER_CLASS = 80
TOLERANCE = 1e-4  # largest difference of a probability between service and downloaded weights


class StepFailed(Exception):
    """A step of the demo did not give what it must."""


@dataclass(frozen=True)
class Demo:
    """What the steps share."""

    service: Service
    client: OpenAI
    console: Console
    directory: Path  # archives, weights and results of the demo, in the data directory


def run_demo(settings: Settings, *, n_seeds: int, record: Path | None) -> int:
    """0 when every step gave what it must."""
    console = wide_console()
    settings = settings.model_copy(update=free_ports(settings))
    directory = settings.data_dir.resolve() / "demo"
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        with Service(settings) as service:
            client = make_client(f"{service.address}/v1", service.api_key)
            demo = Demo(service, client, console, directory)
            _say(console, f"service at {service.address}, data in {settings.data_dir.resolve()}")
            results = _run(demo, n_seeds)
    except (StepFailed, NotReady) as fault:
        console.print(f"[red]failed:[/red] {fault}")
        return 1
    seconds = time.monotonic() - started
    console.print(f"done in {seconds:.0f} s")
    _record(record or directory / "results.json", results, n_seeds, seconds)
    return 0


def _run(demo: Demo, n_seeds: int) -> dict[str, list[ResultRow]]:
    console = demo.console
    archive = write_archives(
        demo.directory, train_per_class=TRAIN_PER_CLASS, test_per_class=TEST_PER_CLASS
    )["demo"]
    with archive.open("rb") as content:
        file = demo.client.files.create(file=("demo.zip", content), purpose="fine-tune")
    _say(console, f"uploaded {archive.stat().st_size / 1e6:.1f} MB of images as {file.id}")

    jobs = {method: _submit(demo, method, file.id, n_seeds) for method in ("ft", "lipsum_ft")}
    results = {}
    for method, job_id in jobs.items():
        ended = follow(demo.client, job_id, console)
        if ended.status != "succeeded":
            reason = ended.error.message if ended.error else "no reason given"
            raise StepFailed(f"{method} job {job_id} {ended.status}: {reason}")
        events = list(demo.client.fine_tuning.jobs.list_events(job_id, limit=100))
        _say(console, f"{method}: {ended.fine_tuned_model}, {len(events)} events")
        results[method] = to_rows((ended.model_extra or {})["results"])
        last = ended
    _show(console, results, n_seeds)

    weights, downloaded = _download(demo, last)
    _check_predictions(demo, last, downloaded, archive)
    _check_inference(demo, last, downloaded, archive)
    console.print(f"weights: {weights}")
    return results


def _submit(demo: Demo, method: str, file_id: str, n_seeds: int) -> str:
    job = demo.client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file_id,
        method={"type": method, method: {"hyperparameters": HYPERPARAMETERS}},  # type: ignore[arg-type]
        seed=0,
        suffix="demo",
        extra_body={"n_seeds": n_seeds, "evaluation": {"alphas": [0.5]}},
    )
    _say(demo.console, f"submitted {method} as {job.id}")
    return job.id


def _show(console: Console, results: dict[str, list[ResultRow]], n_seeds: int) -> None:
    seeds = "one seed" if n_seeds == 1 else f"mean ± standard deviation of {n_seeds} seeds"
    table = Table(*HEADER, title=f"top-1 %, trained on real only, {seeds}")
    for row in table_rows(results):
        table.add_row(*row)
    console.print(table)


def _download(demo: Demo, job: FineTuningJob) -> tuple[Path, DownloadedModel]:
    """The fine-tuned weights, streamed from the API and loaded with open_clip."""
    model_id = str(job.fine_tuned_model)
    target = demo.directory / "weights"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    tar = target / "model.tar"
    url = f"{demo.service.address}/v1/models/{model_id}/weights"
    with httpx.stream("GET", url, headers=_headers(demo), timeout=60) as answer:
        if answer.status_code != 200:
            raise StepFailed(f"{url} answered {answer.status_code}")
        with tar.open("wb") as out:
            for block in answer.iter_bytes():
                out.write(block)
    downloaded = load_downloaded(tar, target / "model")
    _say(demo.console, f"downloaded {model_id}, {tar.stat().st_size / 1e6:.1f} MB")
    return target / "model", downloaded


def _check_predictions(
    demo: Demo, job: FineTuningJob, downloaded: DownloadedModel, archive: Path
) -> None:
    """Every stored prediction of the fine-tuned model, recomputed from the downloaded weights."""
    predictions = demo.directory / "predictions.parquet"
    names = {demo.client.files.retrieve(id).filename: id for id in job.result_files}
    content = demo.client.files.content(names["predictions.parquet"])
    predictions.write_bytes(content.read())
    found = compare_predictions(downloaded, archive, predictions, model="fine_tuned", seed=job.seed)
    wrong = [f for f in found if f.equal != f.images]
    if wrong or not {"test", *SHIFTED} <= {f.split for f in found}:
        raise StepFailed(f"stored predictions differ from the downloaded weights': {found}")
    total = sum(f.images for f in found)
    _say(demo.console, f"all {total} stored predictions equal the downloaded weights'")


def _check_inference(
    demo: Demo, job: FineTuningJob, downloaded: DownloadedModel, archive: Path
) -> None:
    """One image of each domain through the inference routes, zero-shot beside fine-tuned."""
    table = Table("domain", "picture of", "zero-shot", "fine-tuned", "largest difference")
    model_id = str(job.fine_tuned_model)
    for domain in ("test", *SHIFTED):
        label, data = _one_image(archive, domain)
        fine_tuned = _classify(demo, model_id, data)
        zero_shot = _zero_shot(demo, data)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        expected = downloaded.probabilities([image], None)[0].tolist()
        names = downloaded.classes["classes"]
        difference = max(abs(fine_tuned[n] - p) for n, p in zip(names, expected, strict=True))
        if difference > TOLERANCE:
            raise StepFailed(
                f"{domain}: the service's probabilities differ by {difference:.2g} from the "
                f"downloaded weights'; at most {TOLERANCE:g} is allowed"
            )
        table.add_row(domain, label, _best(zero_shot), _best(fine_tuned), f"{difference:.1g}")
    demo.console.print(table)


def _classify(demo: Demo, model_id: str, data: bytes) -> dict[str, float]:
    """Hugging Face's image-classification task: raw bytes in, labels and scores out."""
    url = f"{demo.service.address}/v1/models/{model_id}/image-classification"
    body = {
        "inputs": base64.b64encode(data).decode(),
        "parameters": {"top_k": len(CLASSES)},
    }
    return _scores(httpx.post(url, json=body, headers=_headers(demo), timeout=60))


def _zero_shot(demo: Demo, data: bytes) -> dict[str, float]:
    """Hugging Face's zero-shot-image-classification task on the base."""
    url = f"{demo.service.address}/v1/models/{MODEL}/zero-shot-image-classification"
    body = {
        "inputs": base64.b64encode(data).decode(),
        "parameters": {"candidate_labels": list(CLASSES)},
    }
    return _scores(httpx.post(url, json=body, headers=_headers(demo), timeout=60))


def _scores(answer: httpx.Response) -> dict[str, float]:
    if answer.status_code != 200:
        raise StepFailed(f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}")
    return {item["label"]: item["score"] for item in answer.json()}


def _one_image(archive: Path, split: str) -> tuple[str, bytes]:
    with zipfile.ZipFile(archive) as images:
        name = next(name for name in images.namelist() if name.startswith(f"{split}/"))
        return name.split("/")[1], images.read(name)


def _best(scores: dict[str, float]) -> str:
    label = max(scores, key=lambda name: scores[name])
    return f"{label} {100 * scores[label]:.0f} %"


def _headers(demo: Demo) -> dict[str, str]:
    return {"Authorization": f"Bearer {demo.service.api_key}"}


def _say(console: Console, sentence: str) -> None:
    console.print(f"- {sentence}")


def _record(path: Path, results: dict[str, list[ResultRow]], n_seeds: int, seconds: float) -> None:
    """The results with what a reader needs to repeat them."""
    document = {
        "command": f"lipsum demo --seeds {n_seeds}",
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "torch": torch.__version__,
        "seeds": list(range(n_seeds)),
        "seconds": round(seconds),
        "hyperparameters": HYPERPARAMETERS,
        "train_per_class": TRAIN_PER_CLASS,
        "test_per_class": TEST_PER_CLASS,
        "rows": {method: [asdict(row) for row in rows] for method, rows in results.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
