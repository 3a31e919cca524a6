"""A stored state from which a job can go on, as the worker and the records speak of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredPart(_Frozen):
    """One object of a checkpoint."""

    object_key: str
    sha256: str
    size: int = Field(description="Bytes.")


class CheckpointReference(_Frozen):
    """What a trainer is handed to go on from.

    `parts` are named `{run}.state`, `{run}.best` and `{run}.finished`: the runs of the job before
    this one are finished, of this one there is the state and, once it was validated, the best.
    A part that has not changed is the same object in several checkpoints.
    """

    number: int = Field(description="Among the job's checkpoints, from 1.")
    run: int = Field(description="Which of the job's runs it stands in, from 0.")
    step: int = Field(description="Steps of that run that are done.")
    parts: dict[str, StoredPart]
