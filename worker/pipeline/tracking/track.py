"""Tells each place that a job's request names."""

from __future__ import annotations

import os
from collections.abc import Callable

from core.jobs.integrations import OwnedIntegration
from core.redaction import Redactor
from worker.pipeline.reports import SupervisorGone
from worker.pipeline.tracking.to_mlflow import log_to_mlflow
from worker.pipeline.tracking.to_tensorboard import log_to_tensorboard
from worker.pipeline.tracking.to_wandb import log_to_wandb
from worker.pipeline.tracking.tracked import Tracked
from worker.pipeline.workspace import Workspace

_PLACES: dict[str, Callable[[Workspace, Tracked, OwnedIntegration], str]] = {
    "mlflow": log_to_mlflow,
    "tensorboard": log_to_tensorboard,
    "wandb": log_to_wandb,
}


def track(workspace: Workspace) -> None:
    """Everything the job measured, to each of its integrations; a warning where that fails."""
    if not workspace.spec.integrations:
        return
    tracked = Tracked.of(workspace)
    for integration in workspace.spec.integrations:
        try:
            where = _PLACES[integration.type](workspace, tracked, integration)
        except SupervisorGone:
            raise
        except Exception as fault:  # of a library or a server that is not ours
            redactor = Redactor.of(workspace.settings, os.environ)
            why = redactor.redact(f"{type(fault).__name__}: {fault}")
            workspace.reporter.warn(f"The job was not logged to {integration.type}: {why}")
        else:
            workspace.reporter.event(f"Logged to {integration.type}: {where}.")
