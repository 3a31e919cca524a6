"""Things that are slow to make, kept while they fit: least recently used goes first, and what is
pinned does not go.

For one event loop; the work itself is done elsewhere. Those who ask for the same thing at once
wait for one making of it, and one of them leaving does not stop it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from core.single_flight import SingleFlight

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """A value for which there is no room is handed out and not kept."""

    def __init__(self, capacity: int, size_of: Callable[[Value], int]) -> None:
        """`capacity` in bytes, as `size_of` counts them."""
        self._capacity = capacity
        self._size_of = size_of
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._making: SingleFlight[Key, Value] = SingleFlight()
        self._pinned: set[Key] = set()
        self._dropped: set[Key] = set()  # while they were being made
        self.bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    async def get(
        self, key: Key, make: Callable[[], Awaitable[Value]], *, pinned: bool = False
    ) -> Value:
        """The value of that key, made now if need be; once it was asked for as `pinned` it stays
        until it is dropped. Raises what `make` raises, for all."""
        if pinned:
            self._pinned.add(key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        return await self._making.do(key, lambda: self._make(key, make))

    def values(self) -> list[Value]:
        """What is kept."""
        return list(self._kept.values())

    def drop(self, key: Key) -> None:
        """Keeps that value no more, nor one that is being made now."""
        self._pinned.discard(key)
        if key in self._making:
            self._dropped.add(key)
        if key in self._kept:
            self.bytes -= self._size_of(self._kept.pop(key))

    async def _make(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await make()
        finally:
            dropped = key in self._dropped
            self._dropped.discard(key)
        size = self._size_of(value)
        if not dropped and self._make_room(self._capacity - size):
            self._kept[key] = value
            self.bytes += size
        return value

    def _make_room(self, most: int) -> bool:
        """Lets go of the longest unused until no more than `most` bytes are kept, if that can
        be."""
        loose = [key for key in self._kept if key not in self._pinned]
        going: list[Key] = []
        left = self.bytes
        while left > most and loose:
            going.append(loose.pop(0))
            left -= self._size_of(self._kept[going[-1]])
        if left > most:
            return False
        for key in going:
            self.bytes -= self._size_of(self._kept.pop(key))
        return True
