"""How much a key or a project may use. Nothing is limited until an operator says so."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Of one key, or of all keys of one project together. None is without a limit."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: int | None = Field(
        None, ge=1, le=1_000_000, description="Requests in a minute, and at most at once."
    )
    concurrent_jobs: int | None = Field(
        None, ge=0, le=1_000_000, description="Jobs that have not ended, waiting ones included."
    )
    stored_bytes: int | None = Field(
        None, ge=0, le=2**60, description="Bytes of files and models that were not deleted."
    )
    device_seconds_per_month: int | None = Field(
        None, ge=0, le=2**40, description="Seconds in which jobs run, in a calendar month (UTC)."
    )


class ProjectLimits(Limits):
    """Of a project: also what its jobs may take from others'."""

    running_jobs: int | None = Field(
        None, ge=0, le=1_000_000, description="Jobs that workers hold at once; others wait."
    )
