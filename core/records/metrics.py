"""Step metrics, keyed by (job, seed, step, name): each is written once.

A job that goes on from a checkpoint does the steps after it again. They must come out as they did
before, to the last bit: anything else means that the state was not complete, and then its weights
are not those of the run that the job promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, tuple_
from sqlalchemy.orm import Session

from core.jobs.messages import Metrics
from core.records.clean import clean_number
from core.records.rows import upsert
from core.records.tables import Job, JobMetric

_Key = tuple[int, int, str]  # seed, step, name


Place = tuple[int, int]
"""A seed and a step of it. Seeds train one after the other, so what comes later is greater."""

BEGINNING: Place = (-1, -1)


@dataclass(frozen=True)
class Measured:
    """What was measured at one step."""

    place: Place
    values: dict[str, float | None]


class Differs(Exception):
    """A step done again has another value than was stored."""


def write(session: Session, job: Job, reports: Sequence[Metrics], *, repeatable: bool) -> None:
    """Inserts what is new. Raises Differs where what is not new is another value; where the job
    is not `repeatable` the later value takes its place.
    """
    if not reports:
        return
    values: dict[_Key, float | None] = {}
    for report in reports:
        for name, given in report.values.items():
            key, value = (report.seed, report.step, name), clean_number(given)
            if repeatable and key in values:
                _compare(key, values[key], value)
            values[key] = value
    known = _known(session, job, reports)
    if repeatable:
        for key in known.keys() & values.keys():
            _compare(key, known[key], values[key])
    new = {key: value for key, value in values.items() if key not in known or not repeatable}
    rows = [
        {
            "job_id": job.id,
            "seed": seed,
            "step": step,
            "name": name,
            "project_id": job.project_id,
            "value": value,
        }
        for (seed, step, name), value in new.items()
    ]
    if rows and repeatable:
        session.execute(insert(JobMetric), rows)
    elif rows:
        key_columns = ["job_id", "seed", "step", "name"]
        upsert(session, JobMetric, rows, key=key_columns, replace=["value"])


def list_steps(session: Session, job_id: str, after: Place, limit: int) -> list[Measured]:
    """The job's next steps, at most `limit`. Whose the job is was looked at before."""
    place = tuple_(JobMetric.seed, JobMetric.step)
    unseen = (JobMetric.job_id == job_id, place > after)
    by_place = (JobMetric.seed, JobMetric.step)
    chosen = session.execute(
        select(*by_place).where(*unseen).distinct().order_by(*by_place).limit(limit)
    )
    places = [(row.seed, row.step) for row in chosen]
    if not places:
        return []
    statement = (
        select(JobMetric.seed, JobMetric.step, JobMetric.name, JobMetric.value)
        .where(*unseen, place <= places[-1])
        .order_by(*by_place, JobMetric.name)
    )
    values: dict[Place, dict[str, float | None]] = {place: {} for place in places}
    for row in session.execute(statement):
        values[row.seed, row.step][row.name] = row.value
    return [Measured(place, found) for place, found in values.items()]


def ends(session: Session, job_ids: Iterable[str]) -> dict[str, Place]:
    """The last step that was measured, of each job that measured any."""
    found = {}
    for job_id in job_ids:
        last = (
            select(JobMetric.seed, JobMetric.step)
            .where(JobMetric.job_id == job_id)
            .order_by(JobMetric.seed.desc(), JobMetric.step.desc())
            .limit(1)
        )
        for row in session.execute(last):
            found[job_id] = (row.seed, row.step)
    return found


def _known(session: Session, job: Job, reports: Sequence[Metrics]) -> dict[_Key, float | None]:
    """What is stored of these steps: mostly nothing."""
    steps = [report.step for report in reports]
    statement = select(JobMetric.seed, JobMetric.step, JobMetric.name, JobMetric.value).where(
        JobMetric.job_id == job.id,
        JobMetric.seed.in_({report.seed for report in reports}),
        JobMetric.step.between(min(steps), max(steps)),
    )
    return {(row.seed, row.step, row.name): row.value for row in session.execute(statement)}


def _compare(key: _Key, stored: float | None, again: float | None) -> None:
    if stored != again:
        seed, step, name = key
        raise Differs(
            f"Step {step} (seed {seed}) was done again and its {name} is {again!r}, where it was "
            f"{stored!r}: the run did not go on from the state it was interrupted in."
        )
