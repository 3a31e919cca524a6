"""Work ends when nobody is left to read of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.leaving import ClientLeft, unless_it_leaves


class Connection:
    """What an ASGI server tells of it after the body."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.closed.wait()
        return {"type": "http.disconnect"}


def run(scenario: Callable[[Connection], Awaitable[None]]) -> None:
    async def around() -> None:
        before = asyncio.all_tasks()
        await scenario(Connection())
        assert asyncio.all_tasks() == before  # nothing goes on

    asyncio.run(asyncio.wait_for(around(), 20))


def test_an_answer_is_an_answer() -> None:
    async def scenario(connection: Connection) -> None:
        async def work() -> int:
            await asyncio.sleep(0)
            return 3

        assert await unless_it_leaves(connection.receive, work()) == 3

    run(scenario)


def test_a_fault_is_a_fault() -> None:
    async def scenario(connection: Connection) -> None:
        async def work() -> int:
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await unless_it_leaves(connection.receive, work())

    run(scenario)


def test_who_leaves_is_not_worked_for() -> None:
    async def scenario(connection: Connection) -> None:
        cancelled = False

        async def work() -> None:
            nonlocal cancelled
            connection.closed.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise

        with pytest.raises(ClientLeft):
            await unless_it_leaves(connection.receive, work())
        assert cancelled

    run(scenario)


def test_who_is_cancelled_takes_the_work_along() -> None:
    async def scenario(connection: Connection) -> None:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        waiting = asyncio.create_task(unless_it_leaves(connection.receive, work()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended.is_set()

    run(scenario)
