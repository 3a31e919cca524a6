"""A job as a run on the operator's MLflow server, over its REST API.

A retried job finds its own run by a tag and goes on with it: metrics that are logged twice are the
same values at the same steps.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

import httpx

from core.jobs.integrations import OwnedIntegration
from core.settings import Settings
from worker.pipeline.tracking.tracked import Tracked
from worker.pipeline.workspace import Workspace

TIMEOUT = 30.0  # seconds of one request
JOB_TAG = "lipsum.job_id"
_API = "api/2.0/mlflow"
_METRICS_PER_REQUEST = 1000  # MLflow's own limits
_PARAMS_PER_REQUEST = 100
_LONGEST_PARAM = 500  # characters
_OUTSIDE_NAME = re.compile(r"[^A-Za-z0-9_\-. /]")


def log_to_mlflow(workspace: Workspace, tracked: Tracked, asked: OwnedIntegration) -> str:
    """Where it is. Raises httpx.HTTPError when the server does not take it."""
    settings, options = workspace.settings, asked.mlflow
    assert options is not None  # resolving the job has set it
    with _client(settings) as client:
        experiment = _experiment(client, options.experiment)
        run = _run(client, experiment, tracked, options.run_name or tracked.name)
        run_id = run["info"]["run_id"]
        for params in _in_batches(_params(tracked), _PARAMS_PER_REQUEST):
            _post(client, "runs/log-batch", run_id=run_id, params=params)
        for metrics in _in_batches(_metrics(tracked), _METRICS_PER_REQUEST):
            _post(client, "runs/log-batch", run_id=run_id, metrics=metrics)
        _store_files(client, run, tracked)
        _post(client, "runs/update", run_id=run_id, status="FINISHED", end_time=_now())
    return f"run {run_id} of experiment {options.experiment}"


def _client(settings: Settings) -> httpx.Client:
    headers, login = {}, None
    if settings.mlflow_tracking_token is not None:
        token = settings.mlflow_tracking_token.get_secret_value()
        headers["authorization"] = f"Bearer {token}"
    elif settings.mlflow_tracking_username is not None:
        password = settings.mlflow_tracking_password
        login = (
            settings.mlflow_tracking_username,
            "" if password is None else password.get_secret_value(),
        )
    return httpx.Client(
        base_url=settings.mlflow_tracking_uri or "",
        headers=headers,
        auth=login,
        timeout=TIMEOUT,
        trust_env=False,
    )


def _experiment(client: httpx.Client, name: str) -> str:
    """The id of the experiment, made when there is none."""
    found = client.get(f"{_API}/experiments/get-by-name", params={"experiment_name": name})
    if found.status_code != 404:
        return str(_checked(found)["experiment"]["experiment_id"])
    made = client.post(f"{_API}/experiments/create", json={"name": name})
    if made.status_code == 400:  # another job has made it in this moment
        found = client.get(f"{_API}/experiments/get-by-name", params={"experiment_name": name})
        return str(_checked(found)["experiment"]["experiment_id"])
    return str(_checked(made)["experiment_id"])


def _run(client: httpx.Client, experiment: str, tracked: Tracked, name: str) -> dict[str, Any]:
    job_id = tracked.spec.job_id
    found = _post(
        client,
        "runs/search",
        experiment_ids=[experiment],
        filter=f"tags.`{JOB_TAG}` = '{job_id}'",
        max_results=1,
    ).get("runs")
    if found:
        run: dict[str, Any] = found[0]
        return run
    tags = {JOB_TAG: job_id, "lipsum.method": tracked.spec.method, "mlflow.runName": name}
    made: dict[str, Any] = _post(
        client,
        "runs/create",
        experiment_id=experiment,
        run_name=name,
        start_time=_now(),
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )["run"]
    return made


def _params(tracked: Tracked) -> list[dict[str, str]]:
    return [
        {"key": name, "value": str(value)[:_LONGEST_PARAM]}
        for name, value in tracked.parameters.items()
    ]


def _metrics(tracked: Tracked) -> Iterator[dict[str, Any]]:
    """Step metrics, and the result table as metrics `MODEL/SPLIT/METRIC` of step 0."""
    now = _now()
    for measured in tracked.metrics:
        for name, value in measured.values.items():
            key = _clean(tracked.of_seed(measured.seed, name))
            yield {"key": key, "value": value, "step": measured.step, "timestamp": now}
    for result in tracked.results:
        name = f"{result.model}/{result.split}/{result.metric}"
        key = _clean(tracked.of_seed(result.seed, name))
        yield {"key": key, "value": result.value, "step": 0, "timestamp": now}


def _store_files(client: httpx.Client, run: dict[str, Any], tracked: Tracked) -> None:
    """Through the server, where it stores artifacts itself; elsewhere they would need its keys."""
    uri = str(run["info"]["artifact_uri"])
    if not uri.startswith("mlflow-artifacts:"):
        return
    folder = quote(uri.removeprefix("mlflow-artifacts:").lstrip("/"))
    for name, path in tracked.files.items():
        with path.open("rb") as file:
            answer = client.put(f"api/2.0/mlflow-artifacts/artifacts/{folder}/{name}", content=file)
        answer.raise_for_status()


def _post(client: httpx.Client, what: str, **fields: Any) -> dict[str, Any]:
    return _checked(client.post(f"{_API}/{what}", json=fields))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.status_code} {answer.text[:200]}", request=answer.request, response=answer
        )
    content: dict[str, Any] = answer.json()
    return content


def _clean(name: str) -> str:
    return _OUTSIDE_NAME.sub("_", name)[:250]


def _now() -> int:
    return int(time.time() * 1000)


def _in_batches(items: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
