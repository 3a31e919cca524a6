"""Images of millions of pixels are decoded by a process of its own, one after another.

Decoding one takes as long as answering dozens of usual requests, so whoever does it gives way. A
thread that gives way would now and then wait for a core while it holds the interpreter's lock, and
everybody would wait with it. The process imports no torch, so it is there in a moment and takes
some 75 MB (docs/decisions/large-images.md has what that brings).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import structlog
from PIL import Image

from core.datasets.images import UnreadableImage, decode_about
from core.datasets.limits import Limits
from core.errors import Unavailable
from core.prediction import Encoded

log = structlog.get_logger(__name__)

_IMAGE, _PIXELS = "image", "pixels"  # names of files

LARGE_NICE = 10  # of 19, by which it has a tenth of the share of another


class LargeImages:
    """The process and the way to it. Use it within one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._process: ProcessPoolExecutor | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="lipsum-large-")

    async def decode(self, data: Encoded, side: int | None) -> Image.Image:
        """What `decode_about` gives. Raises UnreadableImage, and Unavailable when the process ended
        over it."""
        await self._turn.acquire()
        decoding = asyncio.create_task(self._decode(data, side))
        # A client that leaves does not end it: the next one's image would go into files that are
        # still written.
        decoding.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(decoding)

    async def _decode(self, data: Encoded, side: int | None) -> Image.Image:
        if self._process is None:
            self._process = _start()
        directory = Path(self._directory.name)
        await asyncio.to_thread((directory / _IMAGE).write_bytes, data)
        try:
            decoding = self._process.submit(_decode_in, directory, self._limits, side)
            found = await asyncio.wrap_future(decoding)
        except BrokenProcessPool as error:
            self._process = None
            log.warning("large_image_lost", bytes=len(data))
            raise Unavailable(
                f"The process that decodes large images ended over one of {len(data)} bytes; "
                "make the image smaller, or try again.",
                code="inference_failed",
            ) from error
        if isinstance(found, _Unreadable):
            raise UnreadableImage(found.message, code=found.code)
        return await asyncio.to_thread(_read, directory, found)

    def close(self) -> None:
        """Waits for what is being decoded."""
        if self._process is not None:
            self._process.shutdown(cancel_futures=True)
        self._directory.cleanup()


@dataclass(frozen=True)
class _Unreadable:
    """An `UnreadableImage` on its way between processes."""

    message: str
    code: str


def _start() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _give_way)


def _give_way() -> None:
    os.nice(LARGE_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started this process ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _decode_in(directory: Path, limits: Limits, side: int | None) -> tuple[int, int] | _Unreadable:
    """The size of the image whose RGB bytes are there now."""
    data = (directory / _IMAGE).read_bytes()
    try:
        image = decode_about(data, limits, side)
    except UnreadableImage as error:
        return _Unreadable(error.message, error.code)
    (directory / _PIXELS).write_bytes(image.tobytes())
    return image.size


def _read(directory: Path, size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, (directory / _PIXELS).read_bytes())
