"""One doing of the same thing for all who ask for it at once, in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Nothing is remembered once it is done."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Value]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._running

    async def do(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        """What `make` gives, or what a doing gives that has begun. One who leaves does not stop
        it. Raises what `make` raises, for all."""
        if key not in self._running:
            task = asyncio.create_task(self._do(key, make))
            task.add_done_callback(_retrieve)
            self._running[key] = task
        return await asyncio.shield(self._running[key])

    async def _do(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            return await make()
        finally:
            del self._running[key]


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Marks a fault as seen: everybody who waited may have left."""
    if not task.cancelled():
        task.exception()
