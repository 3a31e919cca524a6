"""What a comparison does next: jobs of contenders whose parents are done, then the report's.

The sweeper calls this for every open comparison, and again after every attempt's end. It decides
from rows alone and may run anywhere any number of times: the comparison's row is held meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.comparisons.plan import Contender, job_request
from core.comparisons.request import ComparisonRequest
from core.errors import ServiceError
from core.ids import fine_tuned_model_id, new_id
from core.jobs.lookup import RecordsLookup
from core.jobs.request import MethodRequest
from core.jobs.resolve import resolve_job
from core.jobs.spec import ComparedJob, ComparisonSpec, JobSpec
from core.records import comparisons, files, jobs, states
from core.records.clean import clean_text
from core.records.tables import Comparison, ContenderRow, Job
from core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

REPORT_METHOD = "compare"
RESULTS_FILE, PREDICTIONS_FILE = "results.json", "predictions.parquet"


def advance(session: Session, comparison_id: str, settings: Settings) -> list[str]:
    """Ids of the jobs made now. Nothing happens when the comparison has ended or is held."""
    comparison = comparisons.hold(session, comparison_id)
    if comparison is None:
        return []
    rows = comparisons.contenders(session, comparison_id)
    found = comparisons.jobs_of(session, rows, comparison.report_job)
    if comparison.status == "cancelling":
        _cancel(session, comparison, list(found.values()))
        return []
    request = ComparisonRequest.model_validate(comparison.request)
    made = _advance_contenders(session, comparison, request, rows, found, settings)
    if made:
        return made
    rows = comparisons.contenders(session, comparison_id)
    if not all(row.left_out or _ended(found.get(row.job_id or "")) for row in rows):
        return []
    if comparison.report_job is not None:
        _finish(session, comparison, found[comparison.report_job])
        return []
    return _report(session, comparison, request, rows, found)


def _advance_contenders(
    session: Session,
    comparison: Comparison,
    request: ComparisonRequest,
    rows: list[ContenderRow],
    found: dict[str, Job],
    settings: Settings,
) -> list[str]:
    made = []
    spent = sum(jobs.running_seconds(job) or 0.0 for job in found.values())
    over_budget = request.budget is not None and spent >= request.budget.seconds
    by_label = {row.label: row for row in rows}
    for row in rows:
        if row.left_out is not None:
            continue
        job = found.get(row.job_id or "")
        if over_budget and (job is None or job.status in states.WAITING):
            why = f"the budget of {request.budget.seconds:g} s was spent" if request.budget else ""
            _give_up(session, row, job, why)
        elif job is None:
            parents = [by_label[label] for label in row.of]
            lost = [parent.label for parent in parents if _is_lost(parent, found)]
            if lost:
                comparisons.leave_out(session, row, f"{', '.join(lost)} has no result")
            elif all(found[parent.job_id or ""].status == "succeeded" for parent in parents):
                made += _combine(session, comparison, request, row, parents, settings)
    return made


def _combine(
    session: Session,
    comparison: Comparison,
    request: ComparisonRequest,
    row: ContenderRow,
    parents: list[ContenderRow],
    settings: Settings,
) -> list[str]:
    contender = Contender(row.label, MethodRequest.model_validate(row.method), tuple(row.of))
    inputs = [str(parent.job_id) for parent in parents]
    asked = job_request(request, contender, comparison.id, inputs)
    lookup = RecordsLookup(session, comparison.project_id)
    job_id = new_id("ftjob")
    try:
        spec = resolve_job(asked, lookup=lookup, settings=settings, job_id=job_id)
    except ServiceError as error:  # a model or file was deleted since; the others go on
        comparisons.leave_out(session, row, error.message)
        return []
    written = asked.model_dump(mode="json", exclude_unset=True)
    jobs.create(session, comparison.project_id, spec, written, key_id=comparison.key_id)
    comparisons.set_job(session, row, job_id)
    return [job_id]


def _report(
    session: Session,
    comparison: Comparison,
    request: ComparisonRequest,
    rows: list[ContenderRow],
    found: dict[str, Job],
) -> list[str]:
    """The job that reads what the others left and reports on it."""
    succeeded = [row for row in rows if row.job_id and found[row.job_id].status == "succeeded"]
    others = [row for row in rows if row not in succeeded]
    left_out = {row.label: row.left_out or _why(found[row.job_id or ""]) for row in others}
    if not succeeded:
        reasons = "; ".join(f"{label}: {why}" for label, why in left_out.items())
        comparisons.finish(session, comparison, "failed", f"No contender has a result ({reasons}).")
        return []
    made = files.result_files(
        session, comparison.project_id, [str(row.job_id) for row in succeeded]
    )
    compared = []
    for row in succeeded:
        keys = {file.filename: file.object_key for file in made[str(row.job_id)]}
        if not {RESULTS_FILE, PREDICTIONS_FILE} <= keys.keys():
            left_out[row.label] = "its result files were deleted"
            continue
        compared.append(
            ComparedJob(
                label=row.label,
                method=MethodRequest.model_validate(row.method).type,
                of=row.of,
                results_key=keys[RESULTS_FILE],
                predictions_key=keys[PREDICTIONS_FILE],
                seconds=jobs.running_seconds(found[str(row.job_id)]) or 0.0,
            )
        )
    first = JobSpec.model_validate(found[str(succeeded[0].job_id)].spec)
    job_id = new_id("ftjob")
    spec = first.model_copy(
        update={
            "job_id": job_id,
            "method": REPORT_METHOD,
            "hyperparameters": {},
            "inputs": [],
            "model_id": fine_tuned_model_id("report", None, job_id),
            "alphas": [],
            "integrations": [],
            "comparison": ComparisonSpec(
                comparison_id=comparison.id,
                title=request.name or "Comparison of methods",
                jobs=compared,
                left_out={label: clean_text(why) for label, why in left_out.items()},
            ),
        }
    )
    asked = {
        "model": request.model,
        "training_file": request.training_file,
        "method": {"type": REPORT_METHOD},
        "metadata": {"comparison": comparison.id},
        "priority": request.priority,
        "requires": request.requires,
    }
    jobs.create(session, comparison.project_id, spec, asked, key_id=comparison.key_id)
    comparisons.set_report(session, comparison.id, job_id)
    return [job_id]


def _finish(session: Session, comparison: Comparison, report: Job) -> None:
    if not _ended(report):
        return
    if report.status == "succeeded":
        comparisons.finish(session, comparison, "succeeded")
    else:
        why = f"The report's job {report.id} {_why(report)}."
        comparisons.finish(session, comparison, "failed", why)


def _cancel(session: Session, comparison: Comparison, found: list[Job]) -> None:
    """Cancels what has not ended; the comparison ends with the last of them."""
    live = [job for job in found if not _ended(job)]
    for job in live:
        if job.status != "cancelling":
            jobs.request_cancel(session, comparison.project_id, job.id)
    if not live:
        comparisons.finish(session, comparison, "cancelled")


def _give_up(session: Session, row: ContenderRow, job: Job | None, why: str) -> None:
    if job is not None:
        jobs.request_cancel(session, row.project_id, job.id)
    comparisons.leave_out(session, row, why)


def _is_lost(row: ContenderRow, found: dict[str, Job]) -> bool:
    job = found.get(row.job_id or "")
    return row.left_out is not None or (
        _ended(job) and job is not None and job.status != "succeeded"
    )


def _ended(job: Job | None) -> bool:
    return job is not None and job.status in states.ENDED


def _why(job: Job) -> str:
    message = f": {job.error_message}" if job.error_message else ""
    return f"{job.status}{message}"
