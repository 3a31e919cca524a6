"""OpenAI's fine-tuning job, its events and checkpoints, with our fields beside theirs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.jobs.details import Details, Scalar
from core.jobs.integrations import OwnedIntegration
from core.jobs.protocol import protocol_of
from core.jobs.request import EvaluationRequest, JobRequest
from core.jobs.spec import JobSpec
from core.learning.report import Protocol
from core.records.scheduling import QUEUE_COUNTED
from core.records.states import STATUSES
from core.records.tables import Job, JobEvent, JobTransition, Model, SplitResultRow

EVENT_PREFIX = "ftevent-"


class CancelRequest(BaseModel):
    """Body of a cancel, which may be left out."""

    model_config = ConfigDict(extra="forbid")

    keep_checkpoint: bool = Field(
        False,
        description="Make a model of the last checkpoint, listed among the job's checkpoints, "
        "before the job is cancelled. Without one the job is just cancelled.",
    )


class JobError(BaseModel):
    """Why a job failed; `code` tells the user's fault from ours."""

    code: str
    message: str
    param: str | None


class Progress(BaseModel):
    """How far a job is. `fraction` is of the whole job, 0 to 1."""

    step: int
    total_steps: int
    fraction: float
    updated_at: int | None


class Transition(BaseModel):
    """One change of a job's status."""

    to: str
    reason: str | None
    attempt: int
    at: float = Field(description="Seconds since 1970.")


class SplitResult(BaseModel):
    """One number of the result table, with its 95 % interval where it has one.

    Metrics beside the scores: `temperature` (of split `val`), `accuracy_change` against zero_shot
    on the same images with `mcnemar_p` and `mcnemar_p_holm`, `energy_gap` and
    `feature_distortion` from zero_shot, `effective_robustness` (n counts baselines).
    """

    seed: int
    model: str = Field(description="zero_shot, fine_tuned, wise_ft@ALPHA, or a model id.")
    split: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    selection: bool = Field(
        description="Whether a split marked `selection` touched it: it is optimistic then."
    )


Hyperparameters = dict[str, Scalar | list[Scalar]]


class MethodOptions(BaseModel):
    """What a method was given, resolved: nothing is "auto"."""

    hyperparameters: Hyperparameters
    inputs: list[str] = Field(description="Ids of the models a combination reads.")


class JobMethod(BaseModel):
    """`{"type": T, T: {...}}`: the method's name, and its options under that name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, MethodOptions]

    type: str


class SpecifiedOptions(BaseModel):
    """What a method is given."""

    hyperparameters: Hyperparameters = Field(default_factory=dict)
    inputs: list[str] = Field(default_factory=list)


class SpecifiedMethod(JobMethod):
    """A method as a request names it."""

    __pydantic_extra__: dict[str, SpecifiedOptions]  # type: ignore[assignment]


class JobSpecification(JobRequest):
    """A request that gives a job again."""

    method: SpecifiedMethod  # type: ignore[assignment]
    hyperparameters: Hyperparameters | None = None


class FineTuningJob(BaseModel):
    """OpenAI's job object; from `status_reason` on, the fields are ours."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    organization_id: str
    model: str
    fine_tuned_model: str | None
    training_file: str
    validation_file: str | None
    result_files: list[str]
    hyperparameters: Hyperparameters = Field(description='Resolved: nothing is "auto".')
    method: JobMethod
    seed: int
    suffix: str | None
    metadata: dict[str, str] | None
    integrations: list[OwnedIntegration]
    trained_tokens: int | None = None
    status: str = Field(json_schema_extra={"enum": list(STATUSES)})
    error: JobError | None

    status_reason: str | None
    phase: str | None
    stop_for: Literal["pause", "keep"] | None = Field(
        description="What its worker is stopping it for: a pause, or to keep its checkpoint."
    )
    attempt: int
    priority: int
    requires: list[str] = Field(description="What its worker must say of itself.")
    queue_position: int | None = Field(
        description=f"Jobs that go before it, at most {QUEUE_COUNTED}; null if it does not wait."
    )
    estimated_start: int | None = Field(
        None,
        description="When it may begin, from how long jobs took here. Null if it does not wait, "
        "where nothing is known or no worker fits, and in lists.",
    )
    progress: Progress
    started_at: int | None
    n_seeds: int
    theta0: str = Field(description="The model that methods keep to, zero_shot in the results.")
    starts: list[str] = Field(
        description="Models whose weights training began from, one for each seed; none where it "
        "began from theta0."
    )
    evaluation: EvaluationRequest
    spec_digest: str = Field(description="Equal for jobs that do the same work.")
    transitions: list[Transition] | None = Field(
        None, description="Every status it had, oldest first. Null in lists."
    )
    results: list[SplitResult] | None = Field(
        None, description="The result table; empty before the job succeeds. Null in lists."
    )


class FineTuningJobEvent(BaseModel):
    """OpenAI's event with the integer sequence it is ordered by."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: str
    type: str
    message: str
    data: Details | None
    sequence: int


class FineTuningJobCheckpoint(BaseModel):
    """OpenAI's checkpoint; the model it names can be used as any other."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float | None]
    step_number: int
    seed: int | None


def job_object(
    job: Job,
    result_files: list[str],
    queue_position: int | None,
    transitions: list[JobTransition] | None = None,
    results: list[SplitResultRow] | None = None,
    estimated_start: float | None = None,
) -> FineTuningJob:
    """A job's row and what belongs to it, on the wire."""
    spec = JobSpec.model_validate(job.spec)
    options = MethodOptions(
        hyperparameters=spec.hyperparameters, inputs=[model.id for model in spec.inputs]
    )
    return FineTuningJob(
        id=job.id,
        created_at=int(job.created_at),
        finished_at=_seconds(job.finished_at),
        estimated_finish=_seconds(job.estimated_finish),
        organization_id=job.project_id,
        model=job.requested_model,
        fine_tuned_model=job.fine_tuned_model,
        training_file=job.training_file,
        validation_file=job.validation_file,
        result_files=result_files,
        hyperparameters=spec.hyperparameters,
        method=JobMethod.model_validate({"type": spec.method, spec.method: options}),
        seed=spec.seeds[0],
        suffix=job.suffix,
        metadata=job.user_metadata,
        integrations=spec.integrations,
        status=job.status,
        error=_error(job),
        status_reason=job.status_reason,
        phase=job.phase,
        stop_for=job.stop_for,
        attempt=job.attempt,
        priority=-job.rank,
        requires=(job.requires or "").split(),
        queue_position=queue_position,
        estimated_start=_seconds(estimated_start),
        progress=Progress(
            step=job.step,
            total_steps=job.total_steps,
            fraction=job.progress,
            updated_at=_seconds(job.progress_at),
        ),
        started_at=_seconds(job.started_at),
        n_seeds=len(spec.seeds),
        theta0=spec.theta0.id,
        starts=[model.id for model in spec.starts],
        evaluation=EvaluationRequest.model_validate(job.request.get("evaluation") or {}),
        spec_digest=job.spec_digest,
        transitions=None if transitions is None else [_transition(row) for row in transitions],
        results=None if results is None else _results(results, protocol_of(spec)),
    )


def event_object(event: JobEvent) -> FineTuningJobEvent:
    """An event's row on the wire."""
    return FineTuningJobEvent(
        id=f"{EVENT_PREFIX}{event.job_id.removeprefix('ftjob-')}-{event.sequence}",
        created_at=int(event.created_at),
        level=event.level,
        type=event.type,
        message=event.message,
        data=event.data,
        sequence=event.sequence,
    )


def checkpoint_object(model: Model) -> FineTuningJobCheckpoint:
    """A checkpoint's row on the wire."""
    return FineTuningJobCheckpoint(
        id=model.id,
        created_at=int(model.created_at),
        fine_tuned_model_checkpoint=model.id,
        fine_tuning_job_id=model.job_id or "",
        metrics=model.metrics,
        step_number=model.step or 0,
        seed=model.seed,
    )


def _error(job: Job) -> JobError | None:
    if job.error_message is None:
        return None
    return JobError(
        code=job.status_reason or "internal", message=job.error_message, param=job.error_param
    )


def _transition(row: JobTransition) -> Transition:
    return Transition(
        to=row.to_status,
        reason=row.reason,
        attempt=row.attempt,
        at=row.at,
    )


def _results(rows: list[SplitResultRow], protocol: Protocol) -> list[SplitResult]:
    return [
        SplitResult(
            seed=row.seed,
            model=row.model,
            split=row.split,
            metric=row.metric,
            value=row.value,
            low=row.low,
            high=row.high,
            n=row.n,
            selection=protocol.touched(row.model, row.split),
        )
        for row in rows
    ]


def _seconds(at: float | None) -> int | None:
    return None if at is None else int(at)
