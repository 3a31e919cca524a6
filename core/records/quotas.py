"""Whether a key or its project may have more, asked in the transaction that gives it.

Where there is a limit, its row is locked until that transaction ends: two requests at once cannot
both take the last of it. What was begun is never stopped by a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.access.limits import Limits
from core.errors import QuotaExceeded
from core.records import limits, usage
from core.records.usage import Month


def check_jobs(session: Session, project_id: str, key_id: str, more: int = 1) -> None:
    """Raises QuotaExceeded when so many more jobs would be too many at once, or when the month's
    device seconds or all space for results are used up."""
    for owner in _limited(session, project_id, key_id, lock=True):
        _check_open_jobs(session, owner, more)
        _check_device_seconds(session, owner)
        _check_stored(session, owner, 1)


def check_bytes(
    session: Session,
    project_id: str,
    key_id: str,
    more: int,
    object_key: str | None = None,
    *,
    lock: bool = True,
) -> None:
    """Raises QuotaExceeded when so many more bytes would be too many. An object that is stored
    already costs nothing. Without `lock` it is an early answer, for what can be refused early."""
    for owner in _limited(session, project_id, key_id, lock=lock):
        stored = object_key is not None and usage.has_object(
            session, project_id, owner.key_id, object_key
        )
        _check_stored(session, owner, 0 if stored else more)


@dataclass(frozen=True)
class _Owner:
    """A key alone, or for None all of its project."""

    project_id: str
    key_id: str | None
    limits: Limits

    def __str__(self) -> str:
        if self.key_id is None:
            return f"The project {self.project_id}"
        return f"The API key {self.key_id}"

    def part(self, by_key: Mapping[str | None, float]) -> float:
        return sum(by_key.values()) if self.key_id is None else by_key.get(self.key_id, 0)


def _limited(session: Session, project_id: str, key_id: str, *, lock: bool) -> Iterator[_Owner]:
    found = limits.of(session, [key_id, project_id], lock=lock)
    yield _Owner(project_id, key_id, found[key_id])
    yield _Owner(project_id, None, found[project_id])


def _check_open_jobs(session: Session, owner: _Owner, more: int) -> None:
    most = owner.limits.concurrent_jobs
    if most is None:
        return
    found = owner.part(usage.open_jobs(session, owner.project_id))
    if found + more > most:
        raise QuotaExceeded(
            f"{owner} may have {most} jobs that have not ended; it has {found:.0f}, and this asks "
            f"for {more} more. Wait until one ends, or cancel one.",
            param="concurrent_jobs",
        )


def _check_device_seconds(session: Session, owner: _Owner) -> None:
    most = owner.limits.device_seconds_per_month
    if most is None:
        return
    month = Month.present(session)
    used = owner.part(usage.device_seconds(session, owner.project_id, month))
    if used >= most:
        raise QuotaExceeded(
            f"{owner} may run jobs for {most} s a month; in {month.name} they ran for {used:.0f} "
            "s. Wait for the next month (UTC), or ask the operator for more.",
            param="device_seconds_per_month",
        )


def _check_stored(session: Session, owner: _Owner, more: int) -> None:
    most = owner.limits.stored_bytes
    if most is None:
        return
    if owner.key_id is None:
        stored = usage.stored_bytes_of_project(session, owner.project_id)
    else:
        stored = usage.stored_bytes(session, owner.project_id).get(owner.key_id, 0)
    if more and stored + more > most:
        raise QuotaExceeded(
            f"{owner} may store {most} bytes; it stores {stored}, and this would make it "
            f"{stored + more}. Delete files or models, or ask the operator for more.",
            param="stored_bytes",
        )
