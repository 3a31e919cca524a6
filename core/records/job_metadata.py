"""Jobs by the pairs of their metadata, a page at a time, in the order of an index.

Of several pairs the rarest is walked along and the others are looked up for each of its jobs, so
that a pair that all jobs have costs nothing beside one that few have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, func, insert, select, tuple_
from sqlalchemy.orm import Session, aliased

from core.errors import NotFound
from core.records.pages import Order, Page, clamp, cut
from core.records.rows import every
from core.records.tables import Job, JobMetadata

_COUNTED = 1000  # jobs of a pair that are counted to see which is rarest


def add(session: Session, job: Job) -> None:
    """The pairs of a new job."""
    pairs = [
        {
            "job_id": job.id,
            "key": key,
            "project_id": job.project_id,
            "value": value,
            "created_at": job.created_at,
        }
        for key, value in (job.user_metadata or {}).items()
    ]
    if pairs:
        session.execute(insert(JobMetadata), pairs)


def list_jobs(
    session: Session,
    project_id: str,
    metadata: Mapping[str, str],
    filters: Sequence[ColumnElement[bool]],
    *,
    after: str | None,
    order: Order,
    limit: int,
) -> Page[Job]:
    """Jobs that have every pair. `after` as `pages.paginate` has it."""
    rarest, *others = sorted(metadata.items(), key=lambda pair: _count(session, project_id, *pair))
    statement = (
        select(Job)
        .join(JobMetadata, JobMetadata.job_id == Job.id)
        .where(*_is(JobMetadata, project_id, *rarest), *filters)
    )
    for key, value in others:
        other = aliased(JobMetadata)
        has = select(other.job_id).where(
            other.job_id == JobMetadata.job_id, other.key == key, other.value == value
        )
        statement = statement.where(has.exists())
    place = (JobMetadata.created_at, JobMetadata.job_id)
    if after is not None:
        mark = tuple_(*_mark(session, project_id, after))
        beyond = tuple_(*place) > mark if order == "asc" else tuple_(*place) < mark
        statement = statement.where(beyond)
    by = [column if order == "asc" else column.desc() for column in place]
    found = every(session, statement.order_by(*by).limit(clamp(limit) + 1), Job)
    return cut(found, limit)


def _count(session: Session, project_id: str, key: str, value: str) -> int:
    some = select(JobMetadata.job_id).where(*_is(JobMetadata, project_id, key, value))
    counted = select(func.count()).select_from(some.limit(_COUNTED).subquery())
    return session.execute(counted).scalar_one()


def _is(
    pairs: type[JobMetadata], project_id: str, key: str, value: str
) -> tuple[ColumnElement[bool], ...]:
    return (pairs.project_id == project_id, pairs.key == key, pairs.value == value)


def _mark(session: Session, project_id: str, after: str) -> tuple[float, str]:
    owned = (Job.project_id == project_id, Job.id == after)
    seen = session.execute(select(Job.created_at, Job.id).where(*owned)).first()
    if seen is None:
        raise NotFound(f"There is no {after!r} to continue after.", param="after")
    return seen[0], seen[1]
