"""A finished job told elsewhere: a real MLflow server, TensorBoard's files, an offline W&B run."""

from __future__ import annotations

import json
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.jobs.integrations import OwnedIntegration
from core.jobs.messages import Artifact, Event, Message, decode
from core.objects import ObjectStore
from core.settings import Settings
from tests import service_builders as build
from tests.services import free_port, private_mlflow
from worker.pipeline.reports import Reporter
from worker.pipeline.tracking.track import track
from worker.pipeline.workspace import Workspace

RESULTS = [
    {"seed": 0, "model": "zero_shot", "split": "test", "metric": "accuracy", "value": 0.5},
    {"seed": 0, "model": "wise_ft@0.5", "split": "test", "metric": "accuracy", "value": 0.75},
    {"seed": 0, "model": "fine_tuned", "split": "test", "metric": "nll", "value": None},
]


class Job:
    """A job that has left its files, and what it says when it is tracked."""

    def __init__(self, directory: Path, *integrations: dict[str, Any], **settings: Any) -> None:
        self.settings = Settings(data_dir=directory / "data", **settings)
        self.store = ObjectStore.from_settings(self.settings)
        self.directory = directory / "work"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.spec = build.specification(
            job_id="ftjob-1",
            integrations=[OwnedIntegration.model_validate(each) for each in integrations],
        )
        self.steps = 2500  # more than MLflow takes at once
        rows = "".join(f"0,{step},{1 / (step + 1)},nan\n" for step in range(self.steps))
        (self.directory / "metrics.csv").write_text(f"seed,step,loss,penalty\n{rows}")
        (self.directory / "results.json").write_text(json.dumps({"rows": RESULTS}))

    def track(self) -> list[Message]:
        ours, theirs = os.pipe()
        reporter = Reporter(theirs)
        workspace = Workspace(self.spec, 1, self.settings, self.store, reporter, self.directory)
        track(workspace)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            return [decode(line) for line in pipe]

    def unpack(self, messages: list[Message], filename: str, target: Path) -> Path:
        [artifact] = [m for m in messages if isinstance(m, Artifact) and m.filename == filename]
        assert artifact.object_key == f"jobs/ftjob-1/attempts/1/{filename}"
        tar = target / filename
        self.store.download(artifact.object_key, tar)
        with tarfile.open(tar) as archive:
            archive.extractall(target / "unpacked", filter="data")
        return target / "unpacked"


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(m.level, m.message) for m in messages if isinstance(m, Event)]


def test_a_job_without_integrations_says_nothing(tmp_path: Path) -> None:
    assert Job(tmp_path).track() == []


class TestTensorBoard:
    def test_its_files_are_among_the_results(self, tmp_path: Path) -> None:
        pytest.importorskip("tensorboardX")
        job = Job(tmp_path, {"type": "tensorboard"})
        messages = job.track()
        [(level, message)] = said(messages)
        assert level == "info" and "tensorboard.tar" in message
        folder = job.unpack(messages, "tensorboard.tar", tmp_path)
        scalars = list(_scalars(folder / "seed-0"))
        losses = [(step, value) for name, step, value in scalars if name == "loss"]
        assert [step for step, _ in losses] == list(range(job.steps))
        assert losses[3][1] == pytest.approx(0.25)
        assert {(name, value) for name, _, value in scalars if name != "loss"} == {
            ("zero_shot/test/accuracy", 0.5),
            ("wise_ft_0.5/test/accuracy", 0.75),
        }


class TestWeightsAndBiases:
    def test_its_offline_run_is_among_the_results(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("wandb")
        for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            monkeypatch.setenv(name, str(tmp_path / "wandb-own"))
        job = Job(
            tmp_path,
            {"type": "wandb", "wandb": {"project": "birds", "name": "first", "tags": ["a"]}},
        )
        messages = job.track()
        [(level, message)] = said(messages)
        assert level == "info" and "wandb sync" in message, message
        folder = job.unpack(messages, "wandb.tar", tmp_path)
        [path] = folder.rglob("run-*.wandb")
        records = list(_wandb_records(path))
        [run] = [record.run for record in records if record.WhichOneof("record_type") == "run"][:1]
        assert (run.project, run.display_name, list(run.tags)) == ("birds", "first", ["a"])
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["method"] == "ft"
        steps = [
            {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        losses = [json.loads(step["loss"]) for step in steps if "loss" in step]
        assert len(losses) == job.steps
        assert losses[3] == pytest.approx(0.25)
        for file in folder.rglob("*"):
            assert not file.is_file() or str(tmp_path / "work").encode() not in file.read_bytes()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with private_mlflow() as address:
        yield address


class TestMlflow:
    def test_a_server_that_is_away_costs_a_warning(self, tmp_path: Path) -> None:
        uri = f"http://user:hunter22@127.0.0.1:{free_port()}"
        asked = {"type": "mlflow", "mlflow": {"experiment": "proj-1/x"}}
        job = Job(tmp_path, asked, mlflow_tracking_uri=uri)
        [(level, message)] = said(job.track())
        assert level == "warn"
        assert message.startswith("The job was not logged to mlflow: ConnectError")
        assert "hunter22" not in message

    @pytest.mark.servers
    def test_metrics_results_and_files_are_on_the_server(self, server: str, tmp_path: Path) -> None:
        asked = {"type": "mlflow", "mlflow": {"experiment": "proj-1/birds", "run_name": "first"}}
        job = Job(tmp_path, asked, mlflow_tracking_uri=server)
        [(level, message)] = said(job.track())
        assert level == "info", message
        [run] = self._runs(server, "proj-1/birds")
        data = run["data"]
        assert run["info"]["status"] == "FINISHED"
        assert run["info"]["run_name"] == "first"
        params = {item["key"]: item["value"] for item in data["params"]}
        assert (params["method"], params["learning_rate"]) == ("ft", "0.001")
        metrics = {item["key"]: item["value"] for item in data["metrics"]}
        assert metrics["zero_shot/test/accuracy"] == 0.5
        assert metrics["wise_ft_0.5/test/accuracy"] == 0.75
        assert metrics["loss"] == pytest.approx(1 / job.steps)
        assert "penalty" not in metrics  # never a number
        history = httpx.get(
            f"{server}/api/2.0/mlflow/metrics/get-history",
            params={"run_id": run["info"]["run_id"], "metric_key": "loss", "max_results": 25000},
        ).json()["metrics"]
        assert len(history) == job.steps
        artifacts = httpx.get(
            f"{server}/api/2.0/mlflow/artifacts/list", params={"run_id": run["info"]["run_id"]}
        ).json()["files"]
        assert {item["path"] for item in artifacts} == {"metrics.csv", "results.json"}

    @pytest.mark.servers
    def test_a_job_that_is_tried_again_has_one_run(self, server: str, tmp_path: Path) -> None:
        asked = {"type": "mlflow", "mlflow": {"experiment": "proj-1/again"}}
        for place in ("one", "two"):
            Job(tmp_path / place, asked, mlflow_tracking_uri=server).track()
        assert len(self._runs(server, "proj-1/again")) == 1

    def _runs(self, server: str, experiment: str) -> list[dict[str, Any]]:
        found = httpx.get(
            f"{server}/api/2.0/mlflow/experiments/get-by-name",
            params={"experiment_name": experiment},
        ).json()
        search = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 10}
        answer = httpx.post(f"{server}/api/2.0/mlflow/runs/search", json=search).json()
        runs: list[dict[str, Any]] = answer["runs"]
        return runs


def _scalars(folder: Path) -> Iterator[tuple[str, int, float]]:
    from tensorboardX.proto.event_pb2 import Event as TensorBoardEvent

    [path] = folder.iterdir()
    data = path.read_bytes()
    while data:  # records: length, its checksum, content, its checksum
        (length,) = struct.unpack("<Q", data[:8])
        event = TensorBoardEvent.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                yield value.tag, event.step, value.simple_value


def _wandb_records(path: Path) -> Iterator[Any]:
    """A .wandb file is LevelDB's log behind a head of seven bytes: blocks of 32 KiB, in each
    chunks of (checksum, length, kind), a record whole (1) or as its first (2) to last (4) chunk."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, content = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        content += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield Record.FromString(content)
            content = b""
