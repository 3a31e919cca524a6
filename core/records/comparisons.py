"""Comparisons and their contenders: who waits for whom is `core.comparisons.advance`'s to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.records import deliveries
from core.records.clean import clean_text
from core.records.clock import now
from core.records.pages import Order, Page, paginate
from core.records.rows import every, first
from core.records.tables import Comparison, ContenderRow, Job, JobEvent

OPEN = ("running", "cancelling")
VERDICT = "verdict"  # what the report job's event holds it under


def create(
    session: Session,
    project_id: str,
    comparison_id: str,
    request: Mapping[str, Any],
    contenders: Sequence[Mapping[str, Any]],
    *,
    key_id: str | None = None,
) -> Comparison:
    """A new comparison and its contenders, in order: label, method, of, and job_id where there
    is a job already."""
    session.execute(
        insert(Comparison).values(
            id=comparison_id,
            project_id=project_id,
            key_id=key_id,
            request=dict(request),
            status="running",
            user_metadata=request.get("metadata"),
            created_at=now(),
        )
    )
    session.execute(
        insert(ContenderRow),
        [
            {"comparison_id": comparison_id, "project_id": project_id, "position": place, **item}
            for place, item in enumerate(contenders)
        ],
    )
    return get(session, project_id, comparison_id)


def get(session: Session, project_id: str, comparison_id: str) -> Comparison:
    """The project's comparison. NotFound for unknown and foreign ids alike."""
    return _require(first(session, _owned(project_id, comparison_id), Comparison), comparison_id)


def list_comparisons(
    session: Session,
    project_id: str,
    *,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 20,
) -> Page[Comparison]:
    """One page of the project's comparisons."""
    owned = Comparison.project_id == project_id
    return paginate(session, Comparison, owned, after=after, order=order, limit=limit)


def contenders(session: Session, comparison_id: str) -> list[ContenderRow]:
    """In the order they were asked for."""
    mine = select(ContenderRow).where(ContenderRow.comparison_id == comparison_id)
    return every(session, mine.order_by(ContenderRow.position), ContenderRow)


def jobs_of(
    session: Session, rows: Sequence[ContenderRow], report_job: str | None
) -> dict[str, Job]:
    """The contenders' jobs and the report's, by id."""
    wanted = [row.job_id for row in rows if row.job_id is not None]
    wanted += [] if report_job is None else [report_job]
    return {job.id: job for job in every(session, select(Job).where(Job.id.in_(wanted)), Job)}


def open_ids(session: Session, limit: int = 1000) -> list[str]:
    """Comparisons that have not ended, oldest first."""
    found = select(Comparison.id).where(Comparison.status.in_(OPEN))
    by = (Comparison.created_at, Comparison.id)
    return list(session.execute(found.order_by(*by).limit(limit)).scalars())


def hold(session: Session, comparison_id: str) -> Comparison | None:
    """The open comparison, its row locked until the transaction ends; None when it has ended or
    somebody else holds it."""
    mine = select(Comparison).where(Comparison.id == comparison_id, Comparison.status.in_(OPEN))
    return first(session, mine.with_for_update(skip_locked=True), Comparison)


def set_job(session: Session, row: ContenderRow, job_id: str) -> None:
    """The contender became a job."""
    _update_contender(session, row, job_id=job_id)


def leave_out(session: Session, row: ContenderRow, why: str) -> None:
    """There will be no result of this contender."""
    _update_contender(session, row, left_out=clean_text(why))


def set_report(session: Session, comparison_id: str, job_id: str) -> None:
    """The comparison's last job was made."""
    _update(session, comparison_id, report_job=job_id)


def finish(session: Session, comparison: Comparison, status: str, error: str | None = None) -> None:
    """The comparison has ended; its verdict is what the report's job said."""
    _update(
        session,
        comparison.id,
        status=status,
        error_message=None if error is None else clean_text(error),
        verdict=_verdict(session, comparison.report_job),
        finished_at=now(),
    )
    deliveries.emit(session, comparison.project_id, f"comparison.{status}", comparison.id)


def request_cancel(session: Session, project_id: str, comparison_id: str) -> Comparison:
    """Nothing further begins. Cancelling twice is one cancel; Conflict when it has ended."""
    found = _require(
        first(session, _owned(project_id, comparison_id).with_for_update(), Comparison),
        comparison_id,
    )
    if found.status not in OPEN:
        raise Conflict(
            f"Comparison {comparison_id} is already {found.status}; nothing was changed.",
            code="comparison_already_ended",
        )
    _update(session, comparison_id, status="cancelling")
    return get(session, project_id, comparison_id)


def _owned(project_id: str, comparison_id: str) -> Select[Comparison]:
    return select(Comparison).where(
        Comparison.project_id == project_id, Comparison.id == comparison_id
    )


def _require(row: Comparison | None, comparison_id: str) -> Comparison:
    if row is None:
        raise NotFound(
            f"There is no comparison {comparison_id!r}; list yours with GET /v1/comparisons.",
            param="comparison_id",
        )
    return row


def _verdict(session: Session, job_id: str | None) -> str | None:
    if job_id is None:
        return None
    lines = every(session, select(JobEvent).where(JobEvent.job_id == job_id), JobEvent)
    said = [line.data[VERDICT] for line in lines if line.data and VERDICT in line.data]
    return str(said[-1]) if said else None


def _update(session: Session, comparison_id: str, **values: Any) -> None:
    session.execute(
        update(Comparison).where(Comparison.id == comparison_id).values(**values),
        execution_options={"synchronize_session": False},
    )


def _update_contender(session: Session, row: ContenderRow, **values: Any) -> None:
    mine = (
        ContenderRow.comparison_id == row.comparison_id,
        ContenderRow.position == row.position,
    )
    session.execute(
        update(ContenderRow).where(*mine).values(**values),
        execution_options={"synchronize_session": False},
    )
