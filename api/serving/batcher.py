"""Images of several requests through a tower together: throughput without waiting for it.

An image that meets an idle tower starts at once. Only when others were waiting already, so that
more are likely on their way, does a batch that is not full linger a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.errors import Unavailable

MAX_BATCH = 32  # images
MAX_WAITING = 256  # images; more are refused rather than answered too late
LINGER = 0.003  # seconds

Model = TypeVar("Model")
Image = TypeVar("Image")
Features = TypeVar("Features")


@dataclass
class _Waiting(Generic[Model, Image, Features]):
    model: Model
    image: Image
    answer: asyncio.Future[Features]


class Batcher(Generic[Model, Image, Features]):
    """Start `run()` as a task; ask for `features()` from the same event loop."""

    def __init__(
        self, compute: Callable[[Model, list[Image]], Awaitable[Sequence[Features]]]
    ) -> None:
        """`compute` takes images of one model and is never called twice at once."""
        self._compute = compute
        self._waiting: deque[_Waiting[Model, Image, Features]] = deque()
        self._arrived = asyncio.Event()

    def require_room(self, n_images: int) -> None:
        """Raises Unavailable when so many more would have to wait too long."""
        if self._waiting and len(self._waiting) + n_images > MAX_WAITING:
            raise Unavailable(
                f"{len(self._waiting)} images are waiting for inference; try again in a moment.",
                code="inference_busy",
            )

    async def features(self, model: Model, images: Sequence[Image]) -> list[Features]:
        """The features of each image. Raises Unavailable when too many wait already."""
        self.require_room(len(images))
        loop = asyncio.get_running_loop()
        mine = [
            _Waiting[Model, Image, Features](model, image, loop.create_future()) for image in images
        ]
        self._waiting.extend(mine)
        self._arrived.set()
        return list(await asyncio.gather(*(item.answer for item in mine)))

    async def run(self) -> None:
        """Works until it is cancelled."""
        others_waited = False
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                others_waited = False
            if others_waited and len(self._waiting) < MAX_BATCH:
                await asyncio.sleep(LINGER)
            batch = self._take()
            if batch:
                await self._work(batch)
            others_waited = bool(self._waiting)

    def _take(self) -> list[_Waiting[Model, Image, Features]]:
        """The longest waiting image and others of its model; whose client left is dropped."""
        present = [item for item in self._waiting if not item.answer.done()]
        batch = [item for item in present if item.model is present[0].model][:MAX_BATCH]
        taken = set(map(id, batch))
        self._waiting = deque(item for item in present if id(item) not in taken)
        return batch

    async def _work(self, batch: list[_Waiting[Model, Image, Features]]) -> None:
        try:
            answers = await self._compute(batch[0].model, [item.image for item in batch])
        except Exception as error:  # it belongs to those who wait
            for item in batch:
                if not item.answer.done():
                    item.answer.set_exception(error)
            return
        for item, answer in zip(batch, answers, strict=True):
            if not item.answer.done():
                item.answer.set_result(answer)
