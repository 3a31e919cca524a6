"""What keys used in a month, and what their project holds. Read from the rows that are there
anyway; only requests are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select, union, union_all
from sqlalchemy.orm import Session, aliased

from core.errors import InvalidRequest
from core.records.clock import now, read_clock
from core.records.rows import add_up
from core.records.tables import ApiKey, File, Job, JobTransition, Model, RequestCount
from core.validation import shown

MONTH = re.compile(r"(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])")
_USING = "running"  # the status in which a job has a device


@dataclass(frozen=True)
class Month:
    """A calendar month of UTC."""

    name: str  # YYYY-MM
    start: float  # epoch seconds
    end: float

    @classmethod
    def named(cls, name: str) -> Month:
        """Raises InvalidRequest for what is no month."""
        if not MONTH.fullmatch(name):
            raise InvalidRequest(
                f"month is {shown(name)}; write it as YYYY-MM, for example 2026-07.",
                code="invalid_month",
                param="month",
            )
        year, month = int(name[:4]), int(name[5:])
        start = datetime(year, month, 1, tzinfo=UTC)
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return cls(name, start.timestamp(), end.timestamp())

    @classmethod
    def present(cls, session: Session) -> Month:
        """The month of the database's clock."""
        return cls.named(datetime.fromtimestamp(read_clock(session), UTC).strftime("%Y-%m"))


@dataclass(frozen=True)
class Used:
    """What was used in a month; the bytes are those of now."""

    requests: int
    jobs: int
    device_seconds: float
    stored_bytes: int


@dataclass(frozen=True)
class Report:
    """What a project used. None is what no key is noted of."""

    month: Month
    together: Used
    by_key: dict[str | None, Used]


def report(session: Session, project_id: str, month: Month) -> Report:
    """What the project used in the month, all its keys together and each alone."""
    asked = requests(session, project_id, month)
    made = jobs_created(session, project_id, month)
    seconds = device_seconds(session, project_id, month)
    stored = stored_bytes(session, project_id)
    together = Used(
        sum(asked.values()),
        sum(made.values()),
        sum(seconds.values()),
        stored_bytes_of_project(session, project_id),
    )
    found = {*asked, *made, *seconds, *stored}
    by_key = {
        key: Used(asked.get(key, 0), made.get(key, 0), seconds.get(key, 0.0), stored.get(key, 0))
        for key in sorted(found, key=str)
    }
    return Report(month, together, by_key)


def count_requests(session: Session, project_id: str, key_id: str, requests: int) -> None:
    """The key made so many more requests this month. One that is gone with its project made none
    that anybody will ask for."""
    if session.get(ApiKey, key_id) is None:
        return
    values = {
        "key_id": key_id,
        "month": Month.present(session).name,
        "project_id": project_id,
        "requests": requests,
    }
    add_up(session, RequestCount, values, ["key_id", "month"], "requests")


# Each of the following is by key, where None stands for what no key is noted of.


def requests(session: Session, project_id: str, month: Month) -> Mapping[str | None, int]:
    """Requests made in the month."""
    statement = select(RequestCount.key_id, RequestCount.requests).where(
        RequestCount.project_id == project_id, RequestCount.month == month.name
    )
    return {row.key_id: row.requests for row in session.execute(statement)}


def jobs_created(session: Session, project_id: str, month: Month) -> Mapping[str | None, int]:
    """Jobs created in the month."""
    inside = (Job.created_at >= month.start, Job.created_at < month.end)
    return _count_jobs(session, Job.project_id == project_id, *inside)


def open_jobs(session: Session, project_id: str) -> Mapping[str | None, int]:
    """Jobs that have not ended."""
    return _count_jobs(session, Job.project_id == project_id, Job.finished_at.is_(None))


def stored_bytes(session: Session, project_id: str) -> Mapping[str | None, int]:
    """Bytes of files and models that were not deleted. What a key has several times counts once;
    the sum over keys counts twice what two of them have."""
    objects = _objects(project_id)
    total = func.sum(objects.c.bytes).label("total")
    statement = select(objects.c.key_id, total).group_by(objects.c.key_id)
    return {row.key_id: int(row.total) for row in session.execute(statement)}


def stored_bytes_of_project(session: Session, project_id: str) -> int:
    """The same for all keys together: every object counts once."""
    objects = _objects(project_id)
    once = select(objects.c.object_key, objects.c.bytes).distinct().subquery()
    return int(session.execute(select(func.coalesce(func.sum(once.c.bytes), 0))).scalar_one())


def has_object(session: Session, project_id: str, key_id: str | None, object_key: str) -> bool:
    """Whether the object counts already, for this key or for None the project."""
    objects = _objects(project_id)
    statement = select(objects.c.object_key).where(objects.c.object_key == object_key)
    if key_id is not None:
        statement = statement.where(objects.c.key_id == key_id)
    return session.execute(statement.limit(1)).first() is not None


def device_seconds(session: Session, project_id: str, month: Month) -> Mapping[str | None, float]:
    """Seconds of the month in which jobs ran, those that still run up to now."""
    spans = union_all(_finished_spans(project_id, month), _open_spans(project_id)).subquery()
    begun = case((spans.c.begun < month.start, month.start), else_=spans.c.begun)
    ended = case((spans.c.ended > month.end, month.end), else_=spans.c.ended)
    inside = case((ended > begun, ended - begun), else_=0.0)
    statement = (
        select(Job.key_id, func.sum(inside).label("total"))
        .join(spans, spans.c.job_id == Job.id)
        .group_by(Job.key_id)
    )
    return {row.key_id: float(row.total) for row in session.execute(statement)}


def _count_jobs(session: Session, *which: ColumnElement[bool]) -> dict[str | None, int]:
    statement = select(Job.key_id, func.count().label("total")).where(*which).group_by(Job.key_id)
    return {row.key_id: row.total for row in session.execute(statement)}


def _objects(project_id: str) -> Subquery:
    """Every stored object of the project with the key that made it."""
    files = select(File.key_id, File.object_key, File.bytes.label("bytes")).where(
        File.project_id == project_id, File.deleted_at.is_(None)
    )
    models = (
        select(Job.key_id, Model.object_key, Model.size.label("bytes"))
        .outerjoin_from(Model, Job, Job.id == Model.job_id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None))
    )
    return union(files, models).subquery()


def _finished_spans(project_id: str, month: Month) -> Select[str, float, float]:
    """From a job's start to the next change of its status, ended since the month began."""
    before = aliased(JobTransition)
    previous = (
        select(func.max(before.id))
        .where(before.job_id == JobTransition.job_id, before.id < JobTransition.id)
        .scalar_subquery()
    )
    start = aliased(JobTransition)
    return (
        select(JobTransition.job_id, start.at.label("begun"), JobTransition.at.label("ended"))
        .join(start, start.id == previous)
        .where(
            JobTransition.project_id == project_id,
            JobTransition.at >= month.start,
            JobTransition.from_status == _USING,
        )
    )


def _open_spans(project_id: str) -> Select[str, float, float]:
    """From a job's start until now."""
    last = (
        select(func.max(JobTransition.at)).where(JobTransition.job_id == Job.id).scalar_subquery()
    )
    return select(Job.id.label("job_id"), last.label("begun"), now().label("ended")).where(
        Job.project_id == project_id, Job.finished_at.is_(None), Job.status == _USING
    )
