"""A comparison through real processes: from one request to a report that anybody can open."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.client import make_client
from cli.compare.run import compare
from cli.jobs import upload
from cli.service import Service
from core.settings import Settings
from tests.jobs import colour_archive, service_settings
from tests.services import Overrides

KNOBS = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 6, "n_evaluations": 2}


@pytest.fixture(scope="module")
def settings(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("service")
    return service_settings(directory, poll_seconds=3600, **of_database())


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Service]:
    with Service(settings) as running:
        yield running


def test_from_one_request_to_a_report(
    service: Service, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(f"{service.address}/v1", service.api_key)
    archive = colour_archive(tmp_path / "colours.zip")
    file = upload(client, archive, archive.name)
    monkeypatch.setenv("LIPSUM_BASE_URL", f"{service.address}/v1")
    monkeypatch.setenv("LIPSUM_API_KEY", service.api_key)
    status = compare(
        settings,
        file,
        methods=["ft", "wise_ft", "lipsum_ft"],
        model="base:tiny",
        hyperparameters=KNOBS,
        seed=5,
        n_seeds=2,
        budget=None,
        out=tmp_path / "out",
    )
    assert status == 0
    (made,) = _get(service, "/comparisons").json()["data"]
    assert (made["status"], made["n_seeds"]) == ("succeeded", 2)
    found = {each["label"]: each for each in made["contenders"]}
    assert set(found) == {"ft", "lipsum_ft", "wise_ft"}
    assert all(each["status"] == "succeeded" for each in found.values())
    wise = _get(service, f"/fine_tuning/jobs/{found['wise_ft']['job_id']}").json()
    assert wise["metadata"] == {"comparison": made["id"], "contender": "wise_ft"}
    assert {row["seed"] for row in wise["results"] if row["model"] == "wise_ft@0.5"} == {5, 6}

    folder = tmp_path / "out" / made["id"]
    report = json.loads((folder / "comparison.json").read_text())
    assert report["verdict"]["headline"] == made["verdict"]
    page = _get(service, f"/comparisons/{made['id']}/report?format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.content == (folder / "comparison.html").read_bytes()
    assert made["verdict"].split(".")[0] in page.text
    rows = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))
    _check_against_jobs(service, rows, found)
    assert {path.suffix for path in folder.iterdir()} >= {".json", ".html", ".csv", ".png"}


def _check_against_jobs(
    service: Service, rows: list[dict[str, str]], contenders: dict[str, dict[str, Any]]
) -> None:
    """The report's accuracies are those of the jobs' own result rows."""
    own = {"ft": "fine_tuned", "lipsum_ft": "fine_tuned", "wise_ft": "wise_ft@0.5"}
    checked = 0
    for label, contender in contenders.items():
        job = _get(service, f"/fine_tuning/jobs/{contender['job_id']}").json()
        stored = {
            (row["seed"], row["split"]): row["value"]
            for row in job["results"]
            if row["model"] == own[label] and row["metric"] == "accuracy"
        }
        for row in rows:
            is_one = row["kind"] != "average" and row["metric"] == "accuracy" and row["seed"]
            if row["contender"] == label and is_one:
                key = (int(row["seed"]), row["split"])
                assert float(row["value"]) == pytest.approx(stored[key]), key
                checked += 1
    assert checked >= 3 * 2 * 2  # contenders, seeds, splits


def _get(service: Service, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    answer = httpx.get(f"{service.address}/v1{path}", headers=headers)
    answer.raise_for_status()
    return answer
