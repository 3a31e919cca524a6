"""Things that are slow to make, kept while they fit: least recently used goes first.

For one event loop; the work itself is done elsewhere. Those who ask for the same thing at once
wait for one making of it, and one of them leaving does not stop it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """A value larger than the whole cache is handed out and not kept."""

    def __init__(self, capacity: int, size_of: Callable[[Value], int]) -> None:
        """`capacity` in bytes, as `size_of` counts them."""
        self._capacity = capacity
        self._size_of = size_of
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._making: dict[Key, asyncio.Task[Value]] = {}
        self.bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    async def get(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        """The value of that key, made now if need be. Raises what `make` raises, for all."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._making:
            task = asyncio.create_task(self._make(key, make))
            task.add_done_callback(_retrieve)
            self._making[key] = task
        return await asyncio.shield(self._making[key])

    async def _make(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await make()
        finally:
            del self._making[key]
        size = self._size_of(value)
        if size <= self._capacity:
            self._make_room(self._capacity - size)
            self._kept[key] = value
            self.bytes += size
        return value

    def _make_room(self, most: int) -> None:
        while self.bytes > most:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= self._size_of(dropped)


def _retrieve(task: asyncio.Task[Value]) -> None:
    """Marks a fault as seen: everybody who waited may have left."""
    if not task.cancelled():
        task.exception()
