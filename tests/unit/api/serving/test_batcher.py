"""Which images go through a tower together. No test waits on real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from api.serving.batcher import MAX_BATCH, MAX_WAITING, Batcher
from core.errors import Unavailable


class Tower:
    """Doubles numbers, one batch at a time, when it is told to."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def compute(self, model: str, images: list[int]) -> list[int]:
        await self.open.wait()
        self.batches.append((model, images))
        if -1 in images:
            raise ValueError("broken image")
        return [2 * image for image in images]


def run(scenario: Callable[[Tower, Batcher[str, int, int]], Awaitable[None]]) -> None:
    async def around() -> None:
        tower = Tower()
        batcher: Batcher[str, int, int] = Batcher(tower.compute)
        working = asyncio.create_task(batcher.run())
        try:
            await scenario(tower, batcher)
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    asyncio.run(asyncio.wait_for(around(), 20))


def test_answers_come_in_the_order_of_the_images() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        assert await batcher.features("m", [1, 2, 3]) == [2, 4, 6]
        assert await batcher.features("m", [4]) == [8]
        assert tower.batches == [("m", [1, 2, 3]), ("m", [4])]

    run(scenario)


def test_those_who_wait_go_together_by_model() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        first = asyncio.create_task(batcher.features("a", [0]))
        await asyncio.sleep(0.01)
        models = ["a", "b", "a", "b"]
        waiting = [
            asyncio.create_task(batcher.features(model, [number]))
            for number, model in enumerate(models)
        ]
        await asyncio.sleep(0)
        tower.open.set()
        assert [await task for task in waiting] == [[0], [2], [4], [6]]
        assert await first == [0]
        assert [model for model, _ in tower.batches] == ["a", "a", "b"]
        assert tower.batches[1:] == [("a", [0, 2]), ("b", [1, 3])]

    run(scenario)


def test_no_batch_is_larger_than_the_largest() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        images = list(range(2 * MAX_BATCH + 1))
        assert await batcher.features("m", images) == [2 * image for image in images]
        assert [len(batch) for _, batch in tower.batches] == [MAX_BATCH, MAX_BATCH, 1]

    run(scenario)


def test_a_full_queue_refuses() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        running = asyncio.create_task(batcher.features("m", [1]))
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(batcher.features("m", [1] * MAX_WAITING))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="waiting for inference") as caught:
            await batcher.features("m", [1])
        assert caught.value.code == "inference_busy"
        tower.open.set()
        await asyncio.gather(running, waiting)
        assert await batcher.features("m", [1]) == [2]

    run(scenario)


def test_one_request_larger_than_the_queue_is_taken_when_nobody_waits() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        assert len(await batcher.features("m", [1] * (MAX_WAITING + 1))) == MAX_WAITING + 1

    run(scenario)


def test_who_left_is_not_worked_for() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        running = asyncio.create_task(batcher.features("m", [1]))
        await asyncio.sleep(0.01)
        leaving = asyncio.create_task(batcher.features("m", [2]))
        staying = asyncio.create_task(batcher.features("m", [3]))
        await asyncio.sleep(0)
        leaving.cancel()
        tower.open.set()
        assert await staying == [6]
        await running
        assert tower.batches == [("m", [1]), ("m", [3])]

    run(scenario)


def test_a_fault_is_that_batchs_alone() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        with pytest.raises(ValueError, match="broken image"):
            await batcher.features("m", [-1])
        assert await batcher.features("m", [1]) == [2]

    run(scenario)
