"""What a trainer process tells its supervisor: one JSON object a line, on a pipe.

The trainer knows no database. It reads a `JobSpec`, writes objects under its attempt's prefix
and reports here; the supervisor, which holds the lease, turns reports into rows. Nothing that
a trainer reports is visible as a result before `Finished`: models, results and artifacts are
published together, in one fenced transaction.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.jobs.checkpoint import StoredPart
from core.jobs.details import Details

Phase = Literal["preparing", "zero_shot", "training", "combining", "evaluating", "exporting"]
PEAK_MEMORY = "Peak memory"  # how the event begins that says it; `peak_memory_bytes` in its data
FailureReason = Literal[
    "invalid_dataset",
    "invalid_spec",
    "out_of_memory",
    "loss_not_finite",
    "storage_error",
    "internal",
]


class _Message(BaseModel):
    # NaN travels as NaN: a metric that is not a number must not cost a job its result.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class Progress(_Message):
    """The job moved. `fraction` is of the whole job, 0 to 1, and never falls."""

    type: Literal["progress"] = "progress"
    phase: Phase
    step: int = 0
    total_steps: int = 0
    fraction: float
    remaining_seconds: float | None = None


class Event(_Message):
    """A line for the job's event list."""

    type: Literal["event"] = "event"
    level: Literal["info", "warn", "error"] = "info"
    message: str
    data: Details | None = None


class Metrics(_Message):
    """Values measured at one training step of one seed."""

    type: Literal["metrics"] = "metrics"
    seed: int
    step: int
    values: dict[str, float]


class Speed(_Message):
    """How fast steps go, for those who watch the worker. It is no part of the job's record, since
    no two attempts agree on it."""

    type: Literal["speed"] = "speed"
    step_seconds: float
    images_per_second: float
    device_memory_bytes: int | None = None


class Environment(_Message):
    """Where the job computes, said before its first metrics. Where a run is `repeatable`, a step
    done again in the same place has the same values, bit for bit."""

    type: Literal["environment"] = "environment"
    facts: dict[str, str | int]
    repeatable: bool


class Checkpoint(_Message):
    """A state is stored from which the job can go on; what was reported before it belongs to it.

    `core.jobs.checkpoint.CheckpointReference` says what the parts are.
    """

    type: Literal["checkpoint"] = "checkpoint"
    run: int
    step: int
    parts: dict[str, StoredPart]


class CheckpointRefused(_Message):
    """A checkpoint that was handed over is not what was stored: nobody shall be given it again."""

    type: Literal["checkpoint_refused"] = "checkpoint_refused"
    number: int


class DatasetChecked(_Message):
    """A dataset version was read image by image; its index is stored."""

    type: Literal["dataset_checked"] = "dataset_checked"
    version: str
    index_key: str
    summary: dict[str, Any] = Field(description="Counts per split and class, and what is rejected.")


class StoredModel(_Message):
    """A model or checkpoint whose tar is stored. Published at `Finished`."""

    type: Literal["model"] = "model"
    id: str
    kind: Literal["fine_tuned", "checkpoint"]
    object_key: str
    sha256: str
    size: int
    members: dict[str, tuple[int, int]] = Field(description="File name to (offset, size) in tar.")
    info: dict[str, Any] = Field(default_factory=dict)
    seed: int
    step: int | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


class SplitResult(_Message):
    """One number of the table: a metric of a model on a split."""

    type: Literal["result"] = "result"
    seed: int
    model: str = Field(description="`zero_shot`, `fine_tuned`, `wise_ft@0.5`, or a model id.")
    split: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int


class Artifact(_Message):
    """A stored result file (predictions, metrics, report)."""

    type: Literal["artifact"] = "artifact"
    filename: str
    object_key: str
    sha256: str
    size: int


class Finished(_Message):
    """The last word of a trainer that did everything it was asked."""

    type: Literal["finished"] = "finished"


class Stopped(_Message):
    """The last word of a trainer that stopped because it was asked to; it kept what it could."""

    type: Literal["stopped"] = "stopped"


class Failed(_Message):
    """The last word of a trainer that cannot go on, and whose fault it is."""

    type: Literal["failed"] = "failed"
    reason: FailureReason
    message: str
    param: str | None = None


Message = Annotated[
    Progress
    | Event
    | Metrics
    | Speed
    | Environment
    | Checkpoint
    | CheckpointRefused
    | DatasetChecked
    | StoredModel
    | SplitResult
    | Artifact
    | Finished
    | Stopped
    | Failed,
    Field(discriminator="type"),
]

_ADAPTER: TypeAdapter[Message] = TypeAdapter(Message)


def encode(message: BaseModel) -> bytes:
    """One line, newline included."""
    return message.model_dump_json(exclude_none=True).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line. Raises `pydantic.ValidationError` when it is none."""
    return _ADAPTER.validate_json(line)
