"""What must be true when the dust has settled. Each check gives what breaks it: nothing, when all
is well."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from core.records.states import ENDED
from core.records.tables import (
    File,
    Job,
    JobCheckpoint,
    JobEvent,
    JobTransition,
    Model,
    OutboxRow,
    SplitResultRow,
)
from tests.chaos.outcome import outcome
from tests.chaos.processes import marked
from tests.chaos.stack import Stack
from tests.chaos.users import Users

PATIENCE = 150.0  # seconds for the sweepers to be done: more than their quiet time


@dataclass(frozen=True)
class Check:
    """One promise, whether it was kept, and what broke it."""

    name: str
    checked: int  # things that were looked at
    broken: list[str]


@dataclass(frozen=True)
class Settled:
    """What the checks look at."""

    stack: Stack
    users: Users
    calm: Mapping[str, dict[str, Any]]

    def rows(self, statement: Any) -> list[Any]:
        with self.stack.database.read() as session:
            return list(session.execute(statement).all())


def check_while_it_runs(settled: Settled) -> list[Check]:
    """Everything that can be asked of rows and objects; the sweepers still work."""
    return [
        _ended_once(settled),
        _made_once(settled),
        _same_as_calm(settled),
        _published_is_whole(settled),
        _results_once(settled),
        _no_event_gap(settled),
        _eventually("no lease, no doorbell, no checkpoint of an ended job", settled, _left_rows),
        _eventually("no object that no row names", settled, _orphans),
        _eventually("no trainer, no directory of an attempt", settled, _left_attempts),
        _eventually("nothing on the spool", settled, _left_spool),
    ]


def check_when_stopped(settled: Settled) -> list[Check]:
    """The API and the workers were stopped in order."""
    servers = ("postgres", "redis-server", "launch.py", "tests.chaos ")
    left = [
        f"{pid} {command}"
        for pid, command in marked(settled.stack.folder).items()
        if not any(name in command for name in servers)
    ]
    return [Check("no process is left", 1, left)]


def _ended_once(settled: Settled) -> Check:
    """One terminal transition; the status that its user may expect."""
    rows = settled.rows(select(JobTransition.job_id, JobTransition.to_status))
    ends = Counter(row.job_id for row in rows if row.to_status in ENDED)
    status = {
        row.id: (row.status, row.error_message)
        for row in settled.rows(select(Job.id, Job.status, Job.error_message))
    }
    broken = []
    for asked in settled.users.asked:
        found, error = status.get(asked.job, ("missing", None))
        may_be = {"succeeded"} | ({"cancelled"} if asked.wish in ("cancel", "keep") else set())
        if ends[asked.job] != 1 or found not in may_be:
            why = f": {error}" if error else ""
            broken.append(f"{asked.job} ({asked.spec}) ended {ends[asked.job]} times, {found}{why}")
    return Check("every job ended exactly once, as its user asked", len(ends), broken)


def _made_once(settled: Settled) -> Check:
    known = {asked.job for asked in settled.users.asked}
    rows = [row.id for row in settled.rows(select(Job.id))]
    broken = [f"{job} was made, and nobody knows of it" for job in set(rows) - known]
    return Check("no request made two jobs", len(rows), broken + settled.users.refused)


def _same_as_calm(settled: Settled) -> Check:
    checked, broken = 0, []
    succeeded = set(_jobs(settled, "succeeded"))
    for asked in settled.users.asked:
        if asked.job not in succeeded:
            continue
        checked += 1
        found = outcome(settled.stack.database, settled.stack.store, asked.job)
        calm = settled.calm[asked.spec]
        for name, value in calm.items():
            if found[name] != value:
                broken.append(f"{asked.job} ({asked.spec}): {name} differ: {found[name]!r:.300}")
    name = "weights (SHA-256), every step's metrics, scores and files are those of the calm run"
    return Check(name, checked, broken)


def _published_is_whole(settled: Settled) -> Check:
    rows = settled.rows(
        select(Model.object_key, Model.sha256).where(Model.job_id.is_not(None))
    ) + settled.rows(select(File.object_key, File.sha256).where(File.deleted_at.is_(None)))
    expected = {row.object_key: row.sha256 for row in rows}
    broken = []
    for key, sha256 in expected.items():
        try:
            digest = hashlib.sha256()
            for chunk in settled.stack.store.read(key):
                digest.update(chunk)
        except Exception as error:
            broken.append(f"{key}: {error}")
            continue
        if digest.hexdigest() != sha256:
            broken.append(f"{key} is not what its row says")
    return Check("every published object is what its row says", len(expected), broken)


def _results_once(settled: Settled) -> Check:
    """A row of the table, a file name and a model once for each job."""
    table = SplitResultRow
    columns = (table.job_id, table.seed, table.model, table.split, table.metric)
    rows = settled.rows(select(*columns))
    found = [tuple(row) for row in rows]
    found += [tuple(r) for r in settled.rows(select(File.job_id, File.filename)) if r[0]]
    broken = [f"{key} {count} times" for key, count in Counter(found).items() if count > 1]
    return Check("every result was published once", len(found), broken)


def _no_event_gap(settled: Settled) -> Check:
    rows = settled.rows(
        select(
            JobEvent.job_id, func.count(), func.min(JobEvent.sequence), func.max(JobEvent.sequence)
        ).group_by(JobEvent.job_id)
    )
    following = {row.id: row[1] for row in settled.rows(select(Job.id, Job.next_event_sequence))}
    broken = [
        f"{job}: {count} events from {first} to {last}, next {following[job]}"
        for job, count, first, last in rows
        if not (first == 1 and last == count == following[job] - 1)
    ]
    return Check("no gap among any job's events", sum(row[1] for row in rows), broken)


def _left_rows(settled: Settled) -> tuple[int, list[str]]:
    leases = settled.rows(select(Job.id).where(Job.lease_token.is_not(None)))
    doorbells = settled.rows(select(OutboxRow.job_id))
    checkpoints = settled.rows(select(JobCheckpoint.job_id, JobCheckpoint.step))
    broken = [f"{row.id} is held" for row in leases]
    broken += [f"a doorbell for {row.job_id}" for row in doorbells]
    broken += [f"a checkpoint of {row.job_id}, step {row.step}" for row in checkpoints]
    return len(settled.users.asked), broken


def _orphans(settled: Settled) -> tuple[int, list[str]]:
    named = {row.object_key for row in settled.rows(select(Model.object_key))}
    named |= {row.object_key for row in settled.rows(select(File.object_key))}
    lying = [item.key for item in settled.stack.store.list("jobs")]
    lying += [item.key for item in settled.stack.store.list("uploads")]
    lying += [item.key for item in settled.stack.store.list("files")]
    return len(lying), [key for key in lying if key not in named]


def _left_attempts(settled: Settled) -> tuple[int, list[str]]:
    broken = []
    for worker in settled.stack.workers:
        work = worker.settings.cache_directory / "work"
        broken += [str(path.relative_to(settled.stack.folder)) for path in work.glob("*/*")]
        if worker.trainer() is not None:
            broken.append(f"worker {worker.number} has a trainer")
    return len(settled.stack.workers), broken


def _left_spool(settled: Settled) -> tuple[int, list[str]]:
    spool = settled.stack.settings.spool_directory
    return 1, [path.name for path in spool.iterdir()]


def _eventually(
    name: str, settled: Settled, look: Callable[[Settled], tuple[int, list[str]]]
) -> Check:
    """Nothing is left once the sweepers had their time."""
    deadline = time.monotonic() + PATIENCE
    while True:
        checked, broken = look(settled)
        if not broken or time.monotonic() > deadline:
            return Check(name, checked, broken)
        time.sleep(1.0)


def _jobs(settled: Settled, status: str) -> list[str]:
    return [row.id for row in settled.rows(select(Job.id).where(Job.status == status))]
