"""Whose job a free slot gets, asked of the rows: the policy itself is `core.jobs.turns`.

What is waiting is found by an index as small as the queue, one look for each project that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from core.jobs import turns
from core.jobs.labels import meets, parse_labels
from core.jobs.turns import Share, Slot, Waiting
from core.records import states
from core.records.clock import now, read_clock
from core.records.tables import Job, JobTransition, LimitRow, Project, Worker

QUEUE_COUNTED = 1000  # waiting jobs of a project: whoever has more before it is not told how many
_FINISHED_LOOKED_AT = 500  # transitions that are searched for jobs that tell of durations

# As the indexes have it. Not all of these wait for a worker: some are paused.
_UNHELD = (Job.finished_at.is_(None), Job.lease_token.is_(None))
_WAITS = or_(
    Job.status.in_(states.WAITING), and_(Job.status == "cancelling", Job.stop_for == "keep")
)


def projects_in_turn(session: Session, labels: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The projects that have a job a worker with these labels may claim, whose turn is next
    first, each with what such jobs may ask for.

    Limits of how many jobs may run are locked until the transaction ends: two workers at once
    cannot both start the last one.
    """
    asked = [text for text in _asked(session) if meets(labels, text)]
    _lock_limits(session)
    shares = _shares(session, [_may_be_claimed(asked)])
    return [(share.project_id, asked) for share in turns.in_turn(shares)]


def next_job(project_id: str, asked: Sequence[str]) -> ScalarSelect[str]:
    """The id of the project's next job, its row locked; rows that others hold are passed over."""
    return (
        select(Job.id)
        .where(Job.project_id == project_id, *_UNHELD, _may_be_claimed(asked))
        .order_by(*_ORDER)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )


def note_run(session: Session, job: Job) -> None:
    """The job stops running now: what its project had of the slots is written down."""
    moment = read_clock(session)
    begun = select(func.max(JobTransition.at)).where(JobTransition.job_id == job.id)
    started = session.execute(begun).scalar_one() or moment
    mine = select(Project.served_seconds, Project.served_at).where(Project.id == job.project_id)
    had, at = session.execute(mine.with_for_update(key_share=True)).one()
    served = turns.decayed(had, moment - (at or moment)) + max(0.0, moment - started)
    session.execute(
        update(Project)
        .where(Project.id == job.project_id)
        .values(served_seconds=served, served_at=moment),
        execution_options={"synchronize_session": False},
    )


def queue_positions(session: Session, jobs: Iterable[Job]) -> dict[str, int]:
    """For each job that waits for a worker, how many would be claimed before it (0 is next), if
    every worker could take every job: QUEUE_COUNTED where they are more.

    Jobs that run, are paused, are being checked or have ended are not in the answer.
    """
    wanted = [job for job in jobs if job.status in states.WAITING and job.lease_token is None]
    if not wanted:
        return {}
    shares = {share.project_id: share for share in _shares(session, [_WAITS])}
    found = {}
    for project_id in {job.project_id for job in wanted} & set(shares):
        ids = list(session.execute(_queue_of(project_id, Job.id)).scalars())
        others = {
            share: _count_waiting(session, share.project_id)
            for share in shares.values()
            if share.project_id != project_id
        }
        before = turns.places(shares[project_id], others, len(ids))
        places = dict(zip(ids, before, strict=True))
        for job in wanted:
            if job.project_id == project_id and (job.id in places or len(ids) == QUEUE_COUNTED):
                found[job.id] = min(QUEUE_COUNTED, places.get(job.id, QUEUE_COUNTED))
    return found


def estimated_starts(
    session: Session, jobs: Iterable[Job], workers: Sequence[Worker]
) -> dict[str, float]:
    """When each of these jobs that wait may begin, epoch seconds, as far as can be known: slots
    are those of `workers`, durations those of finished jobs."""
    wanted = [job for job in jobs if job.status in states.WAITING and job.lease_token is None]
    slots = sum(worker.slots for worker in workers)
    labels = [parse_labels(worker.labels) for worker in workers]
    wanted = [job for job in wanted if any(meets(each, job.requires) for each in labels)]
    if not wanted or not slots:
        return {}
    moment = read_clock(session)
    expected = _Durations(session)
    shares = _shares(session, [_WAITS])
    waiting = {
        share.project_id: [
            Waiting(row.id, expected.of(row))
            for row in session.execute(_queue_of(share.project_id, *_KIND))
        ]
        for share in shares
    }
    found = turns.starts(_slots(session, slots, moment, expected), shares, waiting)
    return {job.id: found[job.id] for job in wanted if job.id in found}


_ORDER = (Job.rank, Job.created_at, Job.id)
_KIND = (Job.id, Job.requested_model, Job.method, Job.total_steps)  # what a duration hangs on


class _Durations:
    """How long jobs may run, by the newest that have succeeded here: of the same base and method
    where there are any, in proportion to their steps where both have steps."""

    def __init__(self, session: Session) -> None:
        newest = (
            select(JobTransition.job_id, JobTransition.to_status)
            .order_by(JobTransition.id.desc())
            .limit(_FINISHED_LOOKED_AT)
            .subquery()
        )
        done = select(*_KIND, Job.started_at, Job.finished_at).where(
            Job.id.in_(select(newest.c.job_id).where(newest.c.to_status == "succeeded")),
            Job.attempt == 1,
        )
        self._found = [
            ((row.requested_model, row.method), row.total_steps, row.finished_at - row.started_at)
            for row in session.execute(done)
        ]

    def of(self, row: Any) -> float | None:
        """Seconds that the job of the row may run; None where none has succeeded."""
        like = [each for each in self._found if each[0] == (row.requested_model, row.method)]
        found = like or self._found
        if not found:
            return None
        rates = [seconds / steps for _, steps, seconds in found if steps]
        if row.total_steps and rates:
            return float(median(rates) * row.total_steps)
        return float(median(seconds for _, _, seconds in found))


def _asked(session: Session) -> list[str]:
    """What waiting jobs ask of workers, each text once."""
    statement = select(Job.requires).where(Job.requires.is_not(None), *_UNHELD).distinct()
    return [text for text in session.execute(statement).scalars() if text is not None]


def _may_be_claimed(asked: Sequence[str]) -> ColumnElement[bool]:
    fits = Job.requires.is_(None)
    return and_(
        _WAITS,
        or_(Job.not_before.is_(None), Job.not_before <= now()),
        or_(fits, Job.requires.in_(asked)) if asked else fits,
    )


def _lock_limits(session: Session) -> None:
    limited = select(LimitRow.owner_id).where(LimitRow.running_jobs.is_not(None))
    session.execute(limited.order_by(LimitRow.owner_id).with_for_update()).all()


def _shares(session: Session, which: Sequence[ColumnElement[bool]]) -> list[Share]:
    """The projects that have such a job among those that nobody holds."""
    first = func.min(Job.project_id).label("id")
    waiting = select(first).where(*_UNHELD).cte("waiting", recursive=True)
    later = select(first).where(*_UNHELD, Job.project_id > waiting.c.id).scalar_subquery()
    waiting = waiting.union_all(select(later).where(waiting.c.id.is_not(None)))
    held = (
        select(func.count())
        .where(Job.project_id == Project.id, Job.lease_token.is_not(None))
        .scalar_subquery()
    )
    first_at = (
        select(Job.created_at)
        .where(Job.project_id == Project.id, *_UNHELD, *which)
        .order_by(*_ORDER)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(
            Project.id,
            held.label("held"),
            Project.served_seconds,
            Project.served_at,
            first_at.label("first_at"),
            LimitRow.running_jobs,
        )
        .join(waiting, waiting.c.id == Project.id)
        .outerjoin(LimitRow, LimitRow.owner_id == Project.id)
    )
    rows = [row for row in session.execute(statement) if row.first_at is not None]
    moment = read_clock(session) if rows else 0.0
    return [
        Share(
            row.id,
            row.held,
            turns.decayed(row.served_seconds, moment - (row.served_at or moment)),
            row.first_at,
            row.running_jobs,
        )
        for row in rows
    ]


def _queue_of(project_id: str, *columns: Any) -> Select[Any]:
    # Written into the statement, as the index has it: a bound value might be another.
    queued: BindParameter[Any] = bindparam(
        "queued", states.WAITING, expanding=True, literal_execute=True
    )
    return (
        select(*columns)
        .where(Job.project_id == project_id, *_UNHELD, Job.status.in_(queued))
        .order_by(*_ORDER)
        .limit(QUEUE_COUNTED)
    )


def _count_waiting(session: Session, project_id: str) -> int:
    counted = _queue_of(project_id, Job.id).subquery()
    return session.execute(select(func.count()).select_from(counted)).scalar_one()


def _slots(session: Session, count: int, moment: float, expected: _Durations) -> list[Slot]:
    """When each slot may be free: now, or when the job that has it may have ended."""
    held = select(*_KIND, Job.project_id, Job.started_at, Job.estimated_finish).where(
        Job.lease_token.is_not(None)
    )
    rows = session.execute(held).all()
    slots = [Slot(moment)] * max(0, count - len(rows))
    for row in rows:
        seconds = expected.of(row)
        finish = row.estimated_finish
        if finish is None and seconds is not None:
            finish = (row.started_at or moment) + seconds
        if finish is not None:  # else nobody knows when this slot will be free
            slots.append(Slot(max(moment, finish), row.project_id))
    return slots
