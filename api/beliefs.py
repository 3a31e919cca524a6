"""What a process read of the database a moment ago, believed for that moment.

Every request to a model asks who is asking and which model is meant, and the answers hardly ever
change: reading them anew costs more than a small model's answer. What this process commits counts
for it at once. What another one commits (a key revoked there, an alias moved) counts here after
SECONDS at most, and nowhere later.

Nothing that was refused or not found is remembered: a new key, model or alias works at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from core.records.engine import Database
from core.single_flight import SingleFlight

SECONDS = 1.0
MOST = 4096  # answers that are kept

Asked = TypeVar("Asked", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Belief(Generic[Answer]):
    answer: Answer
    until: float
    commits: int  # of this process, before it was read


class Beliefs(Generic[Asked, Answer]):
    """Answers of one kind. Use them within one event loop, and change none of them."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._held: dict[Asked, _Belief[Answer]] = {}
        self._reading: SingleFlight[tuple[Asked, int], Answer] = SingleFlight()

    async def get(self, asked: Asked, read: Callable[[], Answer]) -> Answer:
        """The answer; where it is not known, from `read` in a thread, once for all who ask
        meanwhile. Raises what `read` does."""
        held = self._held.get(asked)
        if held and held.commits == self._database.commits and self._clock() < held.until:
            return held.answer
        commits = self._database.commits
        return await self._reading.do(
            (asked, commits), lambda: self._read_and_hold(asked, commits, read)
        )

    async def _read_and_hold(
        self, asked: Asked, commits: int, read: Callable[[], Answer]
    ) -> Answer:
        until = self._clock() + SECONDS
        answer = await run_in_threadpool(read)
        if len(self._held) >= MOST:
            self._held.clear()
        self._held[asked] = _Belief(answer, until, commits)
        return answer
