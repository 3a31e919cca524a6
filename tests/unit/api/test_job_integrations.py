"""Where a job is to log to as well, as it is asked for and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.api_service import Service, add_base, dataset, open_service
from tests.unit.api.test_jobs import JOBS, create, training_file

__all__ = ["training_file"]


class TestIntegrations:
    def test_are_openais_and_ours(self, tmp_path: Path) -> None:
        with open_service(tmp_path, mlflow_tracking_uri="http://mlflow.intranet:5000") as service:
            add_base(service.database, service.store)
            file = str(service.upload(dataset())["id"])
            asked = [
                {"type": "wandb", "wandb": {"project": "birds", "tags": ["a"]}},
                {"type": "mlflow", "mlflow": {"experiment": "birds"}},
                {"type": "tensorboard"},
            ]
            job = create(service, file, integrations=asked)
            wandb, mlflow, tensorboard = job["integrations"]
            assert wandb["wandb"]["project"] == "birds"
            assert mlflow["mlflow"]["experiment"] == f"{service.project_id}/birds"
            assert (tensorboard["type"], tensorboard["wandb"]) == ("tensorboard", None)
            FineTuningJob.model_validate({**job, "method": None, "integrations": [wandb]})
            assert create(service, file)["spec_digest"] == job["spec_digest"]  # it is the same work
            again = service.client.get(f"{JOBS}/{job['id']}/spec").json()
            assert again["integrations"] == [
                {"type": "wandb", "wandb": {"project": "birds", "tags": ["a"]}},
                {"type": "mlflow", "mlflow": {"experiment": "birds"}},
                {"type": "tensorboard"},
            ]
            assert create(service, file, integrations=None)["integrations"] == []

    @pytest.mark.parametrize(
        ("asked", "code", "param"),
        [
            ([{"type": "mlflow"}], "integration_not_configured", "integrations.0"),
            ([{"type": "tensorboard"}] * 2, "duplicate_integration", "integrations.1"),
            ([{"type": "comet"}], "invalid_request", "integrations.0.type"),
            ([{"type": "wandb"}], "invalid_request", "integrations.0"),
            (
                [{"type": "tensorboard", "wandb": {"project": "x"}}],
                "invalid_request",
                "integrations.0",
            ),
            (
                [{"type": "mlflow", "mlflow": {"tracking_uri": "http://169.254.169.254"}}],
                "invalid_request",
                "integrations.0.mlflow.tracking_uri",
            ),
            (
                [{"type": "mlflow", "mlflow": {"experiment": "../other"}}],
                "invalid_request",
                "integrations.0.mlflow.experiment",
            ),
        ],
    )
    def test_refusals(
        self, service: Service, training_file: str, asked: Any, code: str, param: str
    ) -> None:
        body = {"model": "base:tiny", "training_file": training_file, "integrations": asked}
        error = service.client.post(JOBS, json=body).json()["error"]
        assert (error["code"], error["param"]) == (code, param), error
