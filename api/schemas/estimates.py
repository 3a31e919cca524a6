"""What a job would take, and all that is wrong with its request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.jobs import Hyperparameters
from core.errors import InvalidRequest
from core.jobs.estimate import Estimate, Figure
from core.jobs.spec import JobSpec
from core.records.jobs import spec_digest

_NONE = Figure(None, "the request has errors")
_NOTHING = Estimate(_NONE, _NONE, _NONE, _NONE, _NONE)


class RequestError(BaseModel):
    """One thing that is wrong, as the answer to the request itself would say it."""

    message: str
    code: str
    param: str | None


class EstimatedFigure(BaseModel):
    """A number and what it rests on, or null and why."""

    value: float | None
    basis: str


class JobEstimate(BaseModel):
    """Of a job that was not made."""

    object: Literal["fine_tuning.job.estimate"] = "fine_tuning.job.estimate"
    valid: bool = Field(description="Whether the same request would make a job now.")
    errors: list[RequestError]
    spec_digest: str | None = Field(description="Of the job it would make.")
    hyperparameters: Hyperparameters | None = Field(
        description='Of the job it would make, resolved: nothing is "auto".'
    )
    steps: EstimatedFigure = Field(description="Training steps over all seeds.")
    seconds: EstimatedFigure = Field(description="From the job's start to its end.")
    memory_bytes: EstimatedFigure = Field(description="Of the machine's memory, at the peak.")
    stored_bytes: EstimatedFigure = Field(description="In the object store, kept.")
    cached_bytes: EstimatedFigure = Field(description="On the worker's disk, for a time.")


def estimate_object(
    spec: JobSpec | None, faults: Sequence[InvalidRequest], found: Estimate | None
) -> JobEstimate:
    """An estimate on the wire."""
    figures = found or _NOTHING
    return JobEstimate(
        valid=spec is not None,
        errors=[
            RequestError(message=fault.message, code=fault.code, param=fault.param)
            for fault in faults
        ],
        spec_digest=None if spec is None else spec_digest(spec),
        hyperparameters=None if spec is None else spec.hyperparameters,
        steps=_figure(figures.steps),
        seconds=_figure(figures.seconds),
        memory_bytes=_figure(figures.memory_bytes),
        stored_bytes=_figure(figures.stored_bytes),
        cached_bytes=_figure(figures.cached_bytes),
    )


def _figure(figure: Figure) -> EstimatedFigure:
    return EstimatedFigure(value=figure.value, basis=figure.basis)
