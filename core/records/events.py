"""A job's events: one append-only table with a gapless integer sequence per job.

The sequence is taken from the job's row in the transaction that writes the events. That row stays
locked until the transaction ends, so the order of sequences is the order of commits, and a
transaction that fails leaves no gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.clean import clean_json, clean_text
from core.records.clock import now
from core.records.pages import Order, Page, clamp, cut
from core.records.rows import every
from core.records.tables import Job, JobEvent

Level = Literal["info", "warn", "error"]
FIRST = 1  # sequence
MAX_MESSAGE = 8192  # characters; longer messages are cut
_IDS_PER_QUERY = 500


@dataclass(frozen=True)
class Line:
    """An event that has no sequence yet."""

    message: str
    level: Level = "info"
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class News:
    """What happened to a job after a sequence."""

    rows: list[JobEvent]  # oldest first
    status: str
    last: int  # sequence of the newest event there is; there may be more than `rows`


def begin(session: Session, job: Job, line: Line) -> None:
    """The first event of a job that this transaction made, with `next_event_sequence` after it."""
    _insert(session, job.id, job.project_id, FIRST, [line])


def append(session: Session, job_id: str, lines: Sequence[Line]) -> None:
    """Adds events to a job that exists, in order."""
    if not lines:
        return
    taken = session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(next_event_sequence=Job.next_event_sequence + len(lines))
        .returning(Job.next_event_sequence, Job.project_id),
        execution_options={"synchronize_session": False},
    ).one()
    first_sequence = taken.next_event_sequence - len(lines)
    _insert(session, job_id, taken.project_id, first_sequence, lines)


def list_events(
    session: Session,
    project_id: str,
    job_id: str,
    *,
    after: int | None = None,
    order: Order = "asc",
    limit: int = 100,
) -> Page[JobEvent]:
    """One page of a job's events; `after` is the sequence of the last one seen."""
    statement = select(JobEvent).where(JobEvent.project_id == project_id, JobEvent.job_id == job_id)
    if after is not None:
        beyond = JobEvent.sequence > after if order == "asc" else JobEvent.sequence < after
        statement = statement.where(beyond)
    by = JobEvent.sequence if order == "asc" else JobEvent.sequence.desc()
    items = every(session, statement.order_by(by).limit(clamp(limit) + 1), JobEvent)
    if not items:
        _require_job(session, project_id, job_id)
    return cut(items, limit)


def news(session: Session, seen: Mapping[str, int], limit: int = 100) -> dict[str, News]:
    """Of each job (id to the last sequence seen) its next events, at most `limit`, and its status.

    Costs a look at each job's row, and a query for each that has news.
    """
    found = {}
    for job_id, status, next_sequence in _standings(session, sorted(seen)):
        rows = []
        if next_sequence - 1 > seen[job_id]:
            unseen = (JobEvent.job_id == job_id, JobEvent.sequence > seen[job_id])
            by_sequence = select(JobEvent).where(*unseen).order_by(JobEvent.sequence)
            rows = every(session, by_sequence.limit(limit), JobEvent)
        found[job_id] = News(rows, status, next_sequence - 1)
    return found


def _insert(
    session: Session, job_id: str, project_id: str, first_sequence: int, lines: Sequence[Line]
) -> None:
    session.execute(
        insert(JobEvent).values(created_at=now()),
        [
            {
                "job_id": job_id,
                "sequence": first_sequence + offset,
                "project_id": project_id,
                "level": line.level,
                "type": "message",
                "message": clean_text(line.message)[:MAX_MESSAGE],
                "data": clean_json(line.data),
            }
            for offset, line in enumerate(lines)
        ],
    )


def _standings(session: Session, job_ids: Sequence[str]) -> Iterable[tuple[str, str, int]]:
    """Status and next sequence, read before the events: whoever sees that a job has ended can
    then see its last event too."""
    for start in range(0, len(job_ids), _IDS_PER_QUERY):
        batch = job_ids[start : start + _IDS_PER_QUERY]
        columns = select(Job.id, Job.status, Job.next_event_sequence).where(Job.id.in_(batch))
        for row in session.execute(columns).all():
            yield row.id, row.status, row.next_event_sequence


def _require_job(session: Session, project_id: str, job_id: str) -> None:
    known = select(Job.id).where(Job.project_id == project_id, Job.id == job_id)
    if session.execute(known).first() is None:
        raise NotFound(f"There is no job {job_id!r}.")
