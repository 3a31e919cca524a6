"""Every answer is what the OpenAPI document says, whatever is asked.

`make schemathesis` runs this alone and shows the reports; `make schemathesis EXAMPLES=500` asks
more. The API and the inference process are real; no worker runs beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.reference.document import operations
from tests.integration.contract.run import Run, run_schemathesis
from tests.integration.contract.seeds import Seeds, seed
from tests.integration.running import Running, running_service

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "20"))  # of each operation, when fuzzing
SEEDS = max(1, EXAMPLES // 4)  # one alone ends when an answer is another the second time
SELDOM = "GET /v1/fine_tuning/jobs/{job_id}/predictions/sheet"
NEEDS_S3 = {f"POST /v1/uploads/{{upload_id}}/parts:{act}" for act in ("sign", "confirm")}
SCENARIOS = 100  # at most, of one seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 * EXAMPLES)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Seeds]]:
    directory = tmp_path_factory.mktemp("contract")
    with running_service(directory, log_level="error") as running:
        yield running, seed(running, directory / "comparison")


def test_each_operation_by_itself(service: tuple[Running, Seeds], tmp_path: Path) -> None:
    """Good and bad requests: every bound of the document's schemas, and drawn ones."""
    running, seeds = service
    run = run_schemathesis(
        *(running, seeds, tmp_path / "run"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
    )
    _show(run)
    assert run.passed
    assert _never_successful(run, running) == []
    assert run.statuses[507] > 0  # of the model whose bytes are gone: the check has seen some


def test_sequences_of_operations(service: tuple[Running, Seeds], tmp_path: Path) -> None:
    """What one answer names, the next request asks for."""
    running, seeds = service
    runs = []
    for number in range(1, SEEDS + 1):
        _make_room(running, seeds)
        run = run_schemathesis(
            *(running, seeds, tmp_path / str(number), "--phases", "stateful"),
            *("--max-examples", str(SCENARIOS), "--seed", str(number)),
        )
        _show(run)
        runs.append(run)
    assert [number for number, run in enumerate(runs, 1) if not run.passed] == []
    reached = {name for run in runs for name in run.answers if run.succeeded(name)}
    assert len(reached) > 30


def _make_room(running: Running, seeds: Seeds) -> None:
    """A project may have few webhooks."""
    headers = {"authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=f"{running.address}/v1", headers=headers) as client:
        for webhook in client.get("/webhooks", params={"limit": 1000}).json()["data"]:
            if webhook["id"] not in seeds.webhook_id:
                client.delete(f"/webhooks/{webhook['id']}").raise_for_status()


def _show(run: Run) -> None:
    counted = ", ".join(f"{status} {count}" for status, count in sorted(run.statuses.items()))
    print(f"Answers: {counted}")


def _never_successful(run: Run, running: Running) -> list[str]:
    """Operations that were refused or failed whatever was asked: they would be tested in vain.
    The store here is a directory: what needs S3 is asked in `intake/test_signed_parts.py`. The
    picture of changed images wants six parameters that agree, which are seldom drawn together: it
    is asked in `unit/api/test_job_predictions.py`."""
    document = httpx.get(f"{running.address}/openapi.json").json()
    asked = [f"{each['x-method']} {each['x-path']}" for each in operations(document)]
    assert len(asked) > 60
    return [name for name in asked if not run.succeeded(name) and name not in (*NEEDS_S3, SELDOM)]
