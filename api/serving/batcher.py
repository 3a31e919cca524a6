"""Images of several requests through a tower together: throughput without waiting for it.

An image that meets an idle tower starts at once, unless others are on their way: a batch that is
not full lingers a few milliseconds for images that are being decoded. After a batch the next one
lingers a little for as many as that one answered, unless they are there: most clients ask again at
once, and halves that take turns come to less than all of them together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.errors import Unavailable

MAX_BATCH = 32  # images
MAX_WAITING = 256  # images; more are refused rather than answered too late
LINGER = 0.003  # seconds that an image which is there waits for one that is on its way
AGAIN = 0.005  # seconds without any news after which nobody is thought to ask again
# The same, and all that is waited for them, as shares of the time that the batch took.
AGAIN_SHARE, MOST_SHARE = 0.1, 0.25

Model = TypeVar("Model")
Image = TypeVar("Image")
Features = TypeVar("Features")


@dataclass
class _Waiting(Generic[Model, Image, Features]):
    model: Model
    image: Image
    answer: asyncio.Future[Features]


@dataclass
class _Hope:
    """Of images after a batch."""

    images: int = 0  # with those that were there when it ended
    quiet: float = 0.0  # seconds without news after which it is given up
    until: float = 0.0  # on the event loop's clock


class Batcher(Generic[Model, Image, Features]):
    """Start `run()` as a task; `put` images from the same event loop."""

    def __init__(
        self,
        compute: Callable[[Model, list[Image]], Awaitable[Sequence[Features]]],
        linger: float = LINGER,
    ) -> None:
        """`compute` takes images of one model and is never called twice at once; `linger` in
        seconds."""
        self._linger_seconds = linger
        self._compute = compute
        self._waiting: deque[_Waiting[Model, Image, Features]] = deque()
        self._coming = 0  # images that are being decoded
        self._news = asyncio.Event()
        self._hope = _Hope()

    @property
    def busy(self) -> int:
        """Images that wait or are on their way."""
        return len(self._waiting) + self._coming

    def require_room(self, n_images: int) -> None:
        """Raises Unavailable when so many more would have to wait too long."""
        _require_room(self.busy, n_images)

    @contextmanager
    def coming(self, n_images: int) -> Iterator[None]:
        """For the block's duration so many images are on their way. Put them before it ends."""
        self._coming += n_images
        self._news.set()
        try:
            yield
        finally:
            self._coming -= n_images
            self._news.set()

    def put(self, model: Model, images: Sequence[Image]) -> Awaitable[list[Features]]:
        """Queues the images; what is awaited are their features. Raises Unavailable when too many
        wait already."""
        _require_room(len(self._waiting), len(images))
        loop = asyncio.get_running_loop()
        mine = [
            _Waiting[Model, Image, Features](model, image, loop.create_future()) for image in images
        ]
        self._waiting.extend(mine)
        self._news.set()
        return asyncio.gather(*(item.answer for item in mine))

    async def run(self) -> None:
        """Works until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            while not self._waiting:
                await self._hear()
            await self._linger()
            batch = self._take()
            if batch:
                began = clock()
                await self._work(batch)
                lasted = (ended := clock()) - began
                self._hope = _Hope(
                    self.busy + len(batch),
                    min(AGAIN, AGAIN_SHARE * lasted),
                    ended + MOST_SHARE * lasted,
                )

    async def _linger(self) -> None:
        """Returns when the batch is full, when nobody else is to be expected, or after a while."""
        clock, hope = asyncio.get_running_loop().time, self._hope
        with suppress(TimeoutError):
            async with asyncio.timeout_at(max(clock() + self._linger_seconds, hope.until)):
                while len(self._waiting) < MAX_BATCH:
                    if not self._coming and (self.busy >= hope.images or clock() >= hope.until):
                        return
                    async with asyncio.timeout(None if self._coming else hope.quiet):
                        await self._hear()

    async def _hear(self) -> None:
        self._news.clear()
        await self._news.wait()

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


def _require_room(busy: int, n_images: int) -> None:
    """However many there are, a request is taken where no other waits."""
    if busy and busy + n_images > MAX_WAITING:
        raise Unavailable(
            f"{busy} images are waiting for inference; try again in a moment.",
            code="inference_busy",
        )
