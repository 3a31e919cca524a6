"""Which images go through a tower together. No test waits on real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from api.serving.batcher import (
    AGAIN,
    AGAIN_SHARE,
    LINGER,
    MAX_BATCH,
    MAX_WAITING,
    MOST_SHARE,
    Batcher,
)
from core.errors import Unavailable
from tests.fake_time import run_in_fake_time

HOUR = 3600.0  # seconds; nothing waits so long


class Tower:
    """Doubles numbers, one batch at a time, when it is told to."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.seconds = 0.0  # of a batch

    async def compute(self, model: str, images: list[int]) -> list[int]:
        await self.open.wait()
        await asyncio.sleep(self.seconds)
        self.batches.append((model, images))
        if -1 in images:
            raise ValueError("broken image")
        return [2 * image for image in images]


def run(
    scenario: Callable[[Tower, Batcher[str, int, int]], Awaitable[None]], linger: float = LINGER
) -> None:
    async def around() -> None:
        tower = Tower()
        batcher: Batcher[str, int, int] = Batcher(tower.compute, linger)
        working = asyncio.create_task(batcher.run())
        try:
            await scenario(tower, batcher)
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    run_in_fake_time(asyncio.wait_for(around(), 10 * HOUR))


def test_answers_come_in_the_order_of_the_images() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        assert await batcher.put("m", [1, 2, 3]) == [2, 4, 6]
        assert await batcher.put("m", [4]) == [8]
        assert tower.batches == [("m", [1, 2, 3]), ("m", [4])]

    run(scenario)


def test_those_who_wait_go_together_by_model() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        first = asyncio.ensure_future(batcher.put("a", [0]))
        await asyncio.sleep(0.01)
        models = ["a", "b", "a", "b"]
        waiting = [
            asyncio.ensure_future(batcher.put(model, [number]))
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
        assert await batcher.put("m", images) == [2 * image for image in images]
        assert [len(batch) for _, batch in tower.batches] == [MAX_BATCH, MAX_BATCH, 1]

    run(scenario)


def test_a_full_queue_refuses() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        running = asyncio.ensure_future(batcher.put("m", [1]))
        await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(batcher.put("m", [1] * MAX_WAITING))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="waiting for inference") as caught:
            await batcher.put("m", [1])
        assert caught.value.code == "inference_busy"
        tower.open.set()
        await asyncio.gather(running, waiting)
        assert await batcher.put("m", [1]) == [2]

    run(scenario)


def test_one_request_larger_than_the_queue_is_taken_when_nobody_waits() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        assert len(await batcher.put("m", [1] * (MAX_WAITING + 1))) == MAX_WAITING + 1

    run(scenario)


def test_who_left_is_not_worked_for() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.open.clear()
        running = asyncio.ensure_future(batcher.put("m", [1]))
        await asyncio.sleep(0.01)
        leaving = asyncio.ensure_future(batcher.put("m", [2]))
        staying = asyncio.ensure_future(batcher.put("m", [3]))
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
            await batcher.put("m", [-1])
        assert await batcher.put("m", [1]) == [2]

    run(scenario)


def test_an_image_waits_for_one_that_is_being_decoded_and_for_no_other() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        with batcher.coming(1):
            first = batcher.put("m", [1])
            await asyncio.sleep(0.01)
            assert tower.batches == []
            second = batcher.put("m", [2])
        assert (await first, await second) == ([2], [4])
        assert await batcher.put("m", [3]) == [6]
        assert tower.batches == [("m", [1, 2]), ("m", [3])]

    run(scenario, linger=HOUR)


def test_it_does_not_wait_for_ever() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        with batcher.coming(1):
            assert await batcher.put("m", [1]) == [2]

    run(scenario, linger=0.0)


def test_a_full_batch_waits_for_nobody() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        with batcher.coming(1):
            assert len(await batcher.put("m", [1] * MAX_BATCH)) == MAX_BATCH

    run(scenario, linger=HOUR)


def test_those_who_were_answered_go_with_those_who_wait_when_they_ask_again() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.seconds = 1.0

        async def ask(n: int) -> None:
            await asyncio.sleep(0.1 * n)  # the first meets an idle tower, the others a busy one
            for _ in range(3):
                await batcher.put("m", [n])
                await asyncio.sleep(AGAIN / 2)

        await asyncio.gather(*map(ask, range(4)))
        assert [len(images) for _, images in tower.batches] == [1, 4, 4, 3]

    run(scenario)


def test_one_who_asks_alone_never_waits() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.seconds, clock = 1.0, asyncio.get_running_loop().time
        for pause in (0.0, AGAIN / 2, 1.0):
            began = clock()
            await batcher.put("m", [1])
            assert clock() - began == pytest.approx(tower.seconds)
            await asyncio.sleep(pause)

    run(scenario)


@pytest.mark.parametrize("seconds", [0.01, 1.0])
def test_who_does_not_ask_again_is_not_waited_for_long(seconds: float) -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.seconds, clock = seconds, asyncio.get_running_loop().time
        first = batcher.put("m", [1])
        await asyncio.sleep(seconds / 2)
        second = batcher.put("m", [2])
        await first
        ended = clock()
        await second
        waited = clock() - ended - seconds
        assert waited == pytest.approx(min(AGAIN, AGAIN_SHARE * seconds))

    run(scenario)


def test_all_that_is_waited_for_those_who_ask_again_is_a_share_of_the_batch() -> None:
    async def scenario(tower: Tower, batcher: Batcher[str, int, int]) -> None:
        tower.seconds, clock = 0.1, asyncio.get_running_loop().time
        await batcher.put("m", [1] * MAX_BATCH)
        ended, asked = clock(), []
        for _ in range(MAX_BATCH - 1):  # never so long without news that they are given up
            await asyncio.sleep(AGAIN / 2)
            asked.append(batcher.put("m", [2]))
        await asked[0]
        began = clock() - tower.seconds
        assert began - ended == pytest.approx(MOST_SHARE * tower.seconds)
        await asyncio.gather(*asked)

    run(scenario)
