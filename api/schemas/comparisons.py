"""A comparison of methods: its contenders, how far each is, and where the report is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from core.comparisons.request import ComparisonRequest
from core.records.jobs import running_seconds
from core.records.states import STATUSES
from core.records.tables import COMPARISON_STATUSES, Comparison, ContenderRow, File, Job


class ContenderObject(BaseModel):
    """One method of the comparison and its job."""

    label: str
    method: str
    of: list[str] = Field(description="Labels of the contenders whose models it reads.")
    job_id: str | None = Field(description="Null until those it reads have succeeded.")
    status: str = Field(
        description="waiting, left_out, or the job's.",
        json_schema_extra={"enum": ["waiting", "left_out", *STATUSES]},
    )
    left_out: str | None = Field(description="Why it has no result.")
    fraction: float = Field(description="Of its job, 0 to 1.")
    seconds: float | None = Field(description="That its job ran, once it has ended.")


class ComparisonObject(BaseModel):
    """One comparison. Jobs are cancelled, watched and downloaded from like any others."""

    id: str
    object: Literal["comparison"] = "comparison"
    created_at: int
    finished_at: int | None
    name: str | None
    model: str
    training_file: str
    seed: int
    n_seeds: int
    metadata: dict[str, str] | None
    status: str = Field(json_schema_extra={"enum": list(COMPARISON_STATUSES)})
    error: str | None
    contenders: list[ContenderObject]
    report_job: str | None
    report_files: dict[str, str] = Field(description="File ids of the report, by file name.")
    verdict: str | None = Field(description="Which method to take, and how sure that is.")


def comparison_object(
    row: Comparison,
    contenders: Sequence[ContenderRow],
    jobs: Mapping[str, Job],
    report_files: Sequence[File],
) -> ComparisonObject:
    """A comparison's rows on the wire."""
    request = ComparisonRequest.model_validate(row.request)
    return ComparisonObject(
        id=row.id,
        created_at=int(row.created_at),
        finished_at=None if row.finished_at is None else int(row.finished_at),
        name=request.name,
        model=request.model,
        training_file=request.training_file,
        seed=request.seed,
        n_seeds=request.n_seeds,
        metadata=row.user_metadata,
        status=row.status,
        error=row.error_message,
        contenders=[_contender(item, jobs.get(item.job_id or "")) for item in contenders],
        report_job=row.report_job,
        report_files={file.filename: file.id for file in report_files},
        verdict=row.verdict,
    )


def _contender(row: ContenderRow, job: Job | None) -> ContenderObject:
    method: dict[str, Any] = row.method
    status = "waiting" if job is None else job.status
    return ContenderObject(
        label=row.label,
        method=method["type"],
        of=row.of,
        job_id=row.job_id,
        status="left_out" if row.left_out else status,
        left_out=row.left_out,
        fraction=0.0 if job is None else job.progress,
        seconds=None if job is None else running_seconds(job),
    )
