"""What leaves a job: one tar per model, the predictions, the results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from core.ids import checkpoint_model_id
from core.jobs.messages import Artifact, StoredModel
from core.jobs.protocol import ZERO_SHOT
from core.learning.architecture import read_architecture
from core.learning.calibration import Calibration
from core.learning.methods import registry
from core.learning.mixtures import Mixture
from core.learning.models import Clip, Head, save_directory, save_head
from core.learning.packing import pack
from core.learning.report import (
    CardFacts,
    ResultRow,
    RobustnessLine,
    model_card,
    results_document,
)
from core.learning.states import put_tensors
from core.learning.statistics import TrainingDomain
from core.learning.trainer import TrainedState
from worker.pipeline.data import JobData
from worker.pipeline.domain import training_domain
from worker.pipeline.material import StoredCandidate
from worker.pipeline.mixing import write_mixture
from worker.pipeline.scoring import Scoreboard
from worker.pipeline.shift_sheet import store_shift_sheet
from worker.pipeline.workspace import Workspace


@dataclass(frozen=True)
class Export:
    """A finished model and what its card and statistics are made from."""

    clip: Clip
    head: Head
    data: JobData
    board: Scoreboard
    row_name: str  # the model's name in the table
    seed: int
    number: int  # which of the job's seeds
    state: TrainedState | None = None  # None when it was made of finished models
    domain: TrainingDomain | None = None  # of a state that was scored under that name
    inputs: Sequence[str] = ()  # ids of these
    metrics: Mapping[str, float] = field(default_factory=dict)  # kept with the model


def export_model(workspace: Workspace, export: Export) -> StoredModel:
    """Write the model's directory, pack it, upload the tar and report it; what was reported."""
    model_id, filename = _names(workspace, export)
    model = _store(workspace, export, model_id, "fine_tuned", filename)
    _report(workspace, model, filename)
    return model


def export_mixture(
    workspace: Workspace,
    export: Export,
    mixture: Mixture,
    members: Mapping[str, StoredCandidate],
) -> StoredModel:
    """The same for models that answer together; `export` has the head that all have in common
    but for its weights, and a model of their architecture."""
    model_id, filename = _names(workspace, export)
    directory = workspace.directory / filename.removesuffix(".tar")
    write_mixture(workspace, mixture, members, export.head, directory)
    export.board.calibration(export.row_name, export.seed).save(directory)
    facts = dataclasses.replace(_facts(workspace, export, model_id), snippet=mixture.snippet)
    _write_card(directory, facts, _rows_of_seed(export))
    named = {name: member.name for name, member in members.items()}
    model = _upload(workspace, export, directory, model_id, "fine_tuned", {"mixture": named})
    _report(workspace, model, filename)
    return model


def export_checkpoints(
    workspace: Workspace,
    export: Export,
    model: StoredModel,
    last: TrainedState,
    last_metrics: Mapping[str, float],
) -> None:
    """The kept step and the last one as checkpoints, each usable as a model.

    The kept step's weights are the model's own object; only a last step that differs is stored.
    Loads the last step's weights into the model.
    """
    assert export.state is not None  # only training has steps
    kept_id = checkpoint_model_id(model.id, export.state.step)
    workspace.reporter.send(model.model_copy(update={"id": kept_id, "kind": "checkpoint"}))
    if last.step == export.state.step:
        return
    put_tensors(export.clip, last.weights)
    later = dataclasses.replace(
        export, head=last.head, state=last, domain=None, metrics=last_metrics
    )
    export_checkpoint(workspace, later)


def export_checkpoint(workspace: Workspace, export: Export) -> StoredModel:
    """The state of a step, whose weights the model holds, as a checkpoint usable as a model; what
    was reported."""
    assert export.state is not None
    model_id, _ = _names(workspace, export)
    checkpoint_id = checkpoint_model_id(model_id, export.state.step)
    filename = f"checkpoint-seed-{export.seed}-step-{export.state.step}.tar"
    model = _store(workspace, export, checkpoint_id, "checkpoint", filename)
    workspace.reporter.send(model)
    return model


def write_results(workspace: Workspace, board: Scoreboard, result: str | None = None) -> None:
    """The table as JSON, one row per image and model as Parquet, and what built-in shifts show.

    `result` is what the table calls the model that the job makes; None where it makes none.
    """
    results = workspace.directory / "results.json"
    document = {
        "job": workspace.spec.job_id,
        "method": workspace.spec.method,
        **({} if result is None else {"result": result}),
        **results_document(board.rows, board.protocol, board.lines),
    }
    results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    workspace.store_artifact("results.json", results)
    predictions = workspace.directory / "predictions.parquet"
    board.write_predictions(predictions)
    workspace.store_artifact("predictions.parquet", predictions)
    store_shift_sheet(workspace, board.data)
    workspace.reporter.within("exporting", 1.0)


def _store(
    workspace: Workspace,
    export: Export,
    model_id: str,
    kind: Literal["fine_tuned", "checkpoint"],
    filename: str,
) -> StoredModel:
    directory = workspace.directory / filename.removesuffix(".tar")
    save_directory(export.clip, directory)
    save_head(export.head, directory)
    domain = export.domain or training_domain(export.board, export.clip, export.head)
    domain.save(directory)
    _calibration(export).save(directory)
    # The table's rows are of the kept step; a card of another step has none.
    rows = _rows_of_seed(export) if kind == "fine_tuned" else []
    _write_card(directory, _facts(workspace, export, model_id), rows)
    return _upload(workspace, export, directory, model_id, kind)


def _names(workspace: Workspace, export: Export) -> tuple[str, str]:
    """The id of a seed's model and the name of its tar."""
    model_id = workspace.spec.model_id
    if export.number == 0:
        return model_id, "model.tar"
    return f"{model_id}:seed-{export.seed}", f"model-seed-{export.seed}.tar"


def _write_card(directory: Path, facts: CardFacts, rows: list[ResultRow]) -> None:
    (directory / "README.md").write_text(model_card(facts, rows), encoding="utf-8")


def _upload(
    workspace: Workspace,
    export: Export,
    directory: Path,
    model_id: str,
    kind: Literal["fine_tuned", "checkpoint"],
    more_info: Mapping[str, Any] | None = None,
) -> StoredModel:
    """Pack a directory and store the tar under the directory's name."""
    start = _start_id(workspace, export)
    tar = directory.with_name(f"{directory.name}.tar")
    members = pack(directory, tar)
    stored = workspace.store.put_file(workspace.object_key(tar.name), tar)
    tar.unlink()
    return StoredModel(
        id=model_id,
        kind=kind,
        object_key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
        members=members,
        info={
            "base": workspace.spec.theta0.id,
            **({} if start is None else {"start": start}),
            "method": workspace.spec.method,
            "image_size": export.clip.image_size,
            "embed_dim": export.clip.embed_dim,
            "n_classes": len(export.head.classes),
            **read_architecture(export.clip.config["model_cfg"]).as_info(),
            "selected_on": list(export.board.protocol.chosen(export.row_name)),
            **({"inputs": list(export.inputs)} if export.inputs else {}),
            **(more_info or {}),
        },
        seed=export.seed,
        step=None if export.state is None else export.state.step,
        metrics={**_validation_accuracy(export), **export.metrics},
    )


def _start_id(workspace: Workspace, export: Export) -> str | None:
    """The model that training began from, where that was not theta0."""
    starts = workspace.spec.starts
    return starts[export.number].id if starts else None


def _validation_accuracy(export: Export) -> dict[str, float]:
    accuracy = None if export.state is None else export.state.validation_accuracy
    return {} if accuracy is None else {accuracy_name(export.data): accuracy}


def _report(workspace: Workspace, model: StoredModel, filename: str) -> None:
    workspace.reporter.send(model)
    workspace.reporter.send(
        Artifact(
            filename=filename, object_key=model.object_key, sha256=model.sha256, size=model.size
        )
    )


def accuracy_name(data: JobData) -> str:
    """What chose the checkpoint: ID validation alone, or a mean with splits marked for it."""
    return "validation_accuracy" if len(data.selecting) == 1 else "selection_accuracy"


def _calibration(export: Export) -> Calibration:
    """Of a state that was scored; one that was not has no temperature."""
    found = export.board.calibration(export.row_name, export.seed)
    return found if export.domain is not None else dataclasses.replace(found, temperature=None)


def _rows_of_seed(export: Export) -> list[ResultRow]:
    return [row for row in export.board.rows if _is_of_seed(export, row)]


def _is_of_seed(export: Export, row: ResultRow | RobustnessLine) -> bool:
    return row.seed == export.seed or row.model == ZERO_SHOT


def _facts(workspace: Workspace, export: Export, model_id: str) -> CardFacts:
    method = registry()[workspace.spec.method]
    return CardFacts(
        model_id=model_id,
        row_name=export.row_name,
        base_id=workspace.spec.theta0.id,
        start_id=_start_id(workspace, export),
        method_title=method.title,
        method_citation=method.citation,
        hyperparameters=workspace.spec.hyperparameters,
        seed=export.seed,
        step=None if export.state is None else export.state.step,
        inputs=export.inputs,
        n_classes=len(export.head.classes),
        class_subsets=export.head.class_subsets,
        created=datetime.now(UTC).date().isoformat(),
        library_version=version("lipsum"),
        protocol=export.board.protocol,
        lines=[line for line in export.board.lines if _is_of_seed(export, line)],
    )
