"""`lipsum train` against the API on a real port."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.errors import InvalidRequest
from tests.api_service import dataset
from tests.integration.running import Running


@pytest.fixture
def command(running: Running, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command line, pointed at the running service."""
    monkeypatch.setenv("LIPSUM_BASE_URL", f"{running.address}/v1")
    monkeypatch.setenv("LIPSUM_API_KEY", running.key)
    return CliRunner()


@pytest.fixture(scope="module")
def training_file(running: Running) -> str:
    return running.openai().files.create(file=("a.zip", dataset()), purpose="fine-tune").id


def test_a_job_names_its_inputs(running: Running, command: CliRunner, training_file: str) -> None:
    written = ["train", training_file, "--model", "base:tiny", "--method", "evaluate"]
    done = command.invoke(app, [*written, "--input", "base:tiny"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    job = running.openai().fine_tuning.jobs.retrieve(done.output.strip())
    method: Any = (job.model_extra or {}).get("method") or job.method
    assert method.type == "evaluate"
    assert method.model_extra["evaluate"]["inputs"] == ["base:tiny"]


def test_inputs_are_refused_in_the_services_own_words(
    command: CliRunner, training_file: str
) -> None:
    written = ["train", training_file, "--model", "base:tiny", "--input", "base:tiny"]
    refused = command.invoke(app, [*written, "--method", "wise_ft"])
    assert refused.exception is not None
    assert getattr(refused.exception, "code", None) == "not_fine_tuned"
    several = command.invoke(app, [*written, "--input", "x", "--method", "wise_ft"])
    assert getattr(several.exception, "code", None) == "wrong_number_of_inputs"
    nothing = command.invoke(app, written)
    assert isinstance(nothing.exception, InvalidRequest)
    assert nothing.exception.code == "no_method"


def test_every_method_is_listed_with_what_it_reads_and_makes() -> None:
    listed = json.loads(CliRunner().invoke(app, ["methods", "--json"]).output)
    found = {item["name"]: (item["kind"], item["inputs"], item["output"]) for item in listed}
    assert found["vrf"] == ("combination", {"fewest": 1, "most": 1}, "mixture")
    assert found["soup"] == ("combination", {"fewest": 2, "most": None}, "weights")
    assert found["lipsum_ft"] == ("training", {"fewest": 0, "most": 0}, "weights")
    for item in listed:
        assert item["description"] and item["citation"] and item["fits"]["image_tower"]
        assert item["hyperparameters"]["type"] == "object"
