"""What is kept, what goes, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api.serving.byte_cache import ByteCache


def making(value: str, made: list[str]) -> Callable[[], Awaitable[str]]:
    async def make() -> str:
        made.append(value)
        await asyncio.sleep(0)
        return value

    return make


def test_the_least_recently_used_goes_first() -> None:
    async def scenario() -> None:
        made: list[str] = []
        cache: ByteCache[str, str] = ByteCache(4, len)
        for key in ("aa", "bb", "aa", "cc", "aa", "bb"):
            assert await cache.get(key, making(key, made)) == key
        assert made == ["aa", "bb", "cc", "bb"]
        assert cache.bytes == 4

    asyncio.run(scenario())


def test_what_does_not_fit_is_not_kept_and_drops_nothing() -> None:
    async def scenario() -> None:
        cache: ByteCache[str, str] = ByteCache(3, len)
        await cache.get("aa", making("aa", []))
        assert await cache.get("large", making("large", [])) == "large"
        assert "aa" in cache
        assert "large" not in cache

    asyncio.run(scenario())


def test_those_who_come_at_once_wait_for_one_making() -> None:
    async def scenario() -> None:
        made: list[str] = []
        cache: ByteCache[str, str] = ByteCache(9, len)
        found = await asyncio.gather(*(cache.get("a", making("a", made)) for _ in range(5)))
        assert (found, made) == (["a"] * 5, ["a"])

    asyncio.run(scenario())


def test_one_who_leaves_does_not_stop_the_making() -> None:
    async def scenario() -> None:
        cache: ByteCache[str, str] = ByteCache(9, len)
        release = asyncio.Event()

        async def make() -> str:
            await release.wait()
            return "a"

        leaving = asyncio.create_task(cache.get("a", make))
        staying = asyncio.create_task(cache.get("a", make))
        await asyncio.sleep(0)
        leaving.cancel()
        release.set()
        assert await staying == "a"

    asyncio.run(scenario())


def test_a_fault_is_everybodys_and_is_not_kept() -> None:
    async def scenario() -> None:
        cache: ByteCache[str, str] = ByteCache(9, len)

        async def fail() -> str:
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await cache.get("a", fail)
        assert await cache.get("a", making("a", [])) == "a"

    asyncio.run(scenario())


def test_what_is_pinned_stays() -> None:
    async def scenario() -> None:
        made: list[str] = []
        cache: ByteCache[str, str] = ByteCache(4, len)
        await cache.get("aa", making("aa", made), pinned=True)
        for key in ("bb", "cc", "aa", "dd"):
            await cache.get(key, making(key, made))
        assert made == ["aa", "bb", "cc", "dd"]
        # Where only pinned ones could go, nobody goes.
        assert await cache.get("eee", making("eee", made)) == "eee"
        assert "aa" in cache and "dd" in cache and "eee" not in cache

    asyncio.run(scenario())


def test_what_is_dropped_is_gone_pinned_or_not() -> None:
    async def scenario() -> None:
        made: list[str] = []
        cache: ByteCache[str, str] = ByteCache(4, len)
        await cache.get("aa", making("aa", made), pinned=True)
        cache.drop("aa")
        cache.drop("never there")
        assert (cache.bytes, "aa" in cache) == (0, False)
        await cache.get("aa", making("aa", made))
        assert made == ["aa", "aa"]

    asyncio.run(scenario())


def test_what_is_dropped_while_it_is_made_is_not_kept() -> None:
    async def scenario() -> None:
        cache: ByteCache[str, str] = ByteCache(9, len)
        asking = asyncio.create_task(cache.get("a", making("a", [])))
        await asyncio.sleep(0)
        cache.drop("a")
        assert await asking == "a"
        assert (cache.bytes, "a" in cache) == (0, False)
        assert await cache.get("a", making("a", [])) == "a"
        assert "a" in cache

    asyncio.run(scenario())
