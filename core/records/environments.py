"""Where a job's metrics were computed, and whether a step done again must have the same values.

Every step is a pure function of the job, so that a job which moves, or goes on after a fault,
repeats itself bit for bit, as long as it computes with the same libraries, threads and
processors, and deterministically at all. The first trainer says where it computes; one that
computes elsewhere is told of in the job's events, and from then on nothing is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.jobs.messages import Environment
from core.records.clean import clean_json
from core.records.events import Line
from core.records.tables import Job


@dataclass
class Known:
    """What the row says of a job's environment."""

    job_id: str
    facts: Mapping[str, Any] | None  # None: nobody has said yet
    is_repeatable: bool

    @classmethod
    def of(cls, job: Job) -> Known:
        if job.environment is None:
            return cls(job.id, None, is_repeatable=True)
        return cls(job.id, job.environment["facts"], job.environment["repeatable"])

    def enter(self, session: Session, said: Environment) -> list[Line]:
        """A trainer begins to compute there; what the job's owner is to know of it."""
        facts = clean_json(said.facts)
        changes = [] if self.facts is None else differences(self.facts, facts)
        self.facts = facts
        self.is_repeatable = self.is_repeatable and said.repeatable and not changes
        session.execute(
            update(Job)
            .where(Job.id == self.job_id)
            .values(environment={"facts": facts, "repeatable": self.is_repeatable}),
            execution_options={"synchronize_session": False},
        )
        if not changes:
            return []
        message = (
            f"The job goes on where it computes otherwise ({', '.join(changes)}): from here its "
            "numbers may differ, by rounding, from those of a run that was not interrupted."
        )
        return [Line(message, "warn", {"changes": changes})]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, as phrases such as `threads 2 instead of 4`."""
    return [
        f"{name} {now.get(name, 'none')} instead of {before.get(name, 'none')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
