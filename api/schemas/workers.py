"""A worker, as operators see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from core.records.tables import Worker


class WorkerObject(BaseModel):
    """A worker that runs."""

    id: str
    object: Literal["worker"] = "worker"
    slots: int = Field(description="Jobs that it runs at a time.")
    labels: list[str] = Field(description="What jobs may ask for in `requires`.")
    jobs: list[str] = Field(description="Ids of the jobs it holds.")
    created_at: int = Field(description="When it was first heard of.")
    seen_at: int = Field(description="When it was last heard of.")


def worker_object(row: Worker, jobs: Sequence[str]) -> WorkerObject:
    """A worker's row on the wire."""
    return WorkerObject(
        id=row.owner,
        slots=row.slots,
        labels=row.labels.split(),
        jobs=list(jobs),
        created_at=int(row.started_at),
        seen_at=int(row.seen_at),
    )
