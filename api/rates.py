"""Requests per minute, across API processes: each takes a share of a bucket in the database and
hands it out itself.

No more requests are let through than the bucket gave, however many processes there are. A share
is a twentieth of a minute's requests: a process writes at most once in three seconds for each
limited key, and keeps no more than that from the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.records import rates
from core.records.engine import Database
from core.records.rates import MINUTE

SHARES = 20  # of a minute's requests


@dataclass(frozen=True)
class Standing:
    """Where a limited key or project stands after a request."""

    limit: int
    remaining: int
    reset_seconds: float  # until the whole minute's requests are there again
    retry_after: float | None = None  # set when this request was one too many

    def headers(self) -> dict[str, str]:
        """OpenAI's headers, which its users know."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": f"{math.ceil(self.reset_seconds)}s",
        }


@dataclass
class _Held:
    """What this process took of a bucket, and what was left in it."""

    per_minute: int
    requests: int
    left: float
    taken_at: float


class RateLimiter:
    """The limiter of one process. Safe to share between threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def admit(self, project_id: str, owner_id: str, per_minute: int) -> Standing:
        """One request of the key or project, whose limit that is now. Call it in a thread."""
        standing = self.admit_at_once(owner_id, per_minute)
        if standing is not None:
            return standing
        with self._database.write() as session:
            taken = rates.take(session, project_id, owner_id, per_minute, _share(per_minute))
        with self._lock:
            # Another thread may have taken a share meanwhile: both are ours.
            before = self._held.get(owner_id)
            unspent = 0 if before is None or self._is_stale(before, per_minute) else before.requests
            held = _Held(per_minute, unspent + taken.granted, taken.left, self._clock())
            self._held[owner_id] = held
            return self._hand_out(held)

    def admit_at_once(self, owner_id: str, per_minute: int) -> Standing | None:
        """The same where that needs no database, because a request is in hand or no share can be
        had yet; else None, and nothing has happened."""
        with self._lock:
            held = self._held.get(owner_id)
            if held is None or self._is_stale(held, per_minute):
                return None
            if held.requests == 0 and self._in_bucket(held) >= _share(per_minute):
                return None
            return self._hand_out(held)

    def _hand_out(self, held: _Held) -> Standing:
        refused = held.requests == 0
        held.requests -= 0 if refused else 1
        in_bucket = self._in_bucket(held)
        per_second = held.per_minute / MINUTE
        missing = held.per_minute - in_bucket - held.requests
        wait = max(0.0, (_share(held.per_minute) - in_bucket) / per_second)
        return Standing(
            limit=held.per_minute,
            remaining=0 if refused else held.requests + int(in_bucket),
            reset_seconds=max(0.0, missing / per_second),
            retry_after=wait if refused else None,
        )

    def _is_stale(self, held: _Held, per_minute: int) -> bool:
        """A limit that was changed counts at once; a share is not kept for ever."""
        return held.per_minute != per_minute or self._clock() - held.taken_at > MINUTE

    def _in_bucket(self, held: _Held) -> float:
        """What the bucket should hold by now, if nobody else took of it."""
        grown = held.left + (self._clock() - held.taken_at) * held.per_minute / MINUTE
        return min(float(held.per_minute), grown)


def _share(per_minute: int) -> int:
    return max(1, per_minute // SHARES)
