"""The last duty of a job that was cancelled to be kept: models of its last checkpoint."""

from __future__ import annotations

import dataclasses

from core.learning.states import put_tensors
from worker.pipeline.checkpoints import Checkpoints
from worker.pipeline.export import Export, export_checkpoint
from worker.pipeline.plan import planned_runs
from worker.pipeline.runs import Runs
from worker.pipeline.step_metrics import MetricsLog
from worker.pipeline.workspace import Workspace


def keep_checkpoint(workspace: Workspace) -> None:
    """Store, as a model that can be used like any other, what each run of the job had come to: a
    finished one its best state, an interrupted one its last.
    """
    planned = planned_runs(workspace.spec)
    runs = Runs.open(workspace)
    log = MetricsLog(workspace, planned, runs.clip.device)
    with Checkpoints(workspace) as checkpoints:
        for run in planned:
            state = runs.kept_state(run, checkpoints, log.of(run))
            if state is None:
                continue
            made = log.of(run).made(state.step)
            state = dataclasses.replace(state, step=run.steps_before + state.step)
            put_tensors(runs.clip, {**runs.theta0, **state.weights})
            export = Export(
                runs.clip,
                state.head,
                runs.data,
                runs.board,
                "fine_tuned",
                run.seed,
                run.seed_number,
                state,
                metrics=made,
            )
            export_checkpoint(workspace, export)
