"""Whose turn it is: how a free slot is given to one of the projects that have jobs waiting.

1. the project whose jobs hold the fewest slots,
2. of these the one whose jobs had slots for the least time of late (each day counts half as much
   as the day after it),
3. of these the one whose next job was made first.

Within a project the higher priority goes first, then the older job. A priority is a project's own
affair: it takes nothing from anybody else.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

HALF_LIFE = 86400.0  # seconds in which time that was had comes to count half


@dataclass(frozen=True)
class Share:
    """A project with jobs that wait."""

    project_id: str
    held: int  # slots that its jobs have now
    served: float  # seconds it had them of late, as `decayed`
    first_at: float  # when its next job was made, epoch seconds
    most: int | None = None  # slots it may have at once

    @property
    def may_have_more(self) -> bool:
        return self.most is None or self.held < self.most


@dataclass(frozen=True)
class Waiting:
    """A job that waits, and how many seconds it is expected to run; None where nothing is known."""

    job_id: str
    seconds: float | None


@dataclass(frozen=True)
class Slot:
    """A worker's slot: when it is expected to be free, epoch seconds, and whose job has it."""

    free_at: float
    project_id: str | None = None


def in_turn(shares: Iterable[Share]) -> list[Share]:
    """The projects, whose turn is next first; without those that have all they may."""
    return sorted((share for share in shares if share.may_have_more), key=_order)


def places(mine: Share, others: Mapping[Share, int], count: int) -> list[int]:
    """How many jobs go before the first, second .. `count`-th of a project, while nobody gives a
    slot back. `others` are the other projects with the number of their waiting jobs. Between
    projects that had the same time it may be off by one."""
    found = []
    for place in range(count):
        at = _with_more(mine, place)
        before = [min(waiting, _turns_before(other, at)) for other, waiting in others.items()]
        found.append(place + sum(before))
    return found


def starts(
    slots: Sequence[Slot], shares: Iterable[Share], waiting: Mapping[str, Sequence[Waiting]]
) -> dict[str, float]:
    """When each waiting job is expected to begin, epoch seconds, as slots become free. `waiting`
    are the jobs of each project, in their order. Nothing is known of what waits for a job whose
    duration is not known."""
    standing = {share.project_id: share for share in shares}
    queues = {project_id: deque(jobs) for project_id, jobs in waiting.items()}
    busy = [(slot.free_at, number, slot.project_id) for number, slot in enumerate(slots)]
    heapq.heapify(busy)
    idle: list[int] = []  # slots that nobody may have until another is given back
    found: dict[str, float] = {}
    while busy and any(queues.values()):
        moment, number, owner = heapq.heappop(busy)
        if owner in standing:
            standing[owner] = _with_more(standing[owner], -1)
        idle.append(number)
        while idle:
            turn = in_turn(standing[name] for name, queue in queues.items() if queue)
            if not turn:
                break
            project_id, free = turn[0].project_id, idle.pop()
            job = queues[project_id].popleft()
            found[job.job_id] = moment
            taken = _with_more(standing[project_id], 1)
            standing[project_id] = replace(taken, served=taken.served + (job.seconds or 0.0))
            if job.seconds is not None:
                heapq.heappush(busy, (moment + job.seconds, free, project_id))
    return found


def decayed(seconds: float, age: float) -> float:
    """What so many seconds of slots count for when that much time has passed since."""
    return float(seconds * 0.5 ** (max(0.0, age) / HALF_LIFE))


def _turns_before(other: Share, mine: Share) -> int:
    """How many slots the other gets before this one gets its next."""
    is_first_of_equals = _order(replace(other, held=mine.held)) < _order(mine)
    return max(0, mine.held - other.held + is_first_of_equals)


def _order(share: Share) -> tuple[int, float, float, str]:
    return share.held, share.served, share.first_at, share.project_id


def _with_more(share: Share, more: int) -> Share:
    return replace(share, held=share.held + more)
