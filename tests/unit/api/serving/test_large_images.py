"""The process that decodes large images: what it gives, what it survives, and when it ends."""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from api.serving.large_images import LARGE_NICE, LargeImages
from core.datasets.images import UnreadableImage, decode, decode_about
from core.errors import Unavailable
from tests.unit.api.serving.photographs import LIMITS, photograph


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture
def large(runner: asyncio.Runner) -> Iterator[LargeImages]:
    images = LargeImages(LIMITS)
    yield images
    images.close()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return photograph(0, 2400, 1800)


def test_pixels_are_those_that_this_process_would_have_decoded(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    whole = runner.run(large.decode(jpeg, None))
    assert (whole.mode, whole.size) == ("RGB", (2400, 1800))
    assert whole.tobytes() == decode(jpeg, LIMITS).tobytes()
    about = runner.run(large.decode(memoryview(jpeg), 224))
    assert about.size == decode_about(jpeg, LIMITS, 224).size == (600, 450)
    assert about.tobytes() == decode_about(jpeg, LIMITS, 224).tobytes()


def test_what_is_wrong_with_an_image_is_said_as_ever(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    for data in (b"no image", b"", jpeg[: len(jpeg) // 2]):
        with pytest.raises(UnreadableImage) as here:
            decode(data, LIMITS)
        with pytest.raises(UnreadableImage) as there:
            runner.run(large.decode(data, None))
        assert (there.value.message, there.value.code) == (here.value.message, here.value.code)


def test_many_at_once_get_their_own(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    turned = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).transpose(Image.Transpose.ROTATE_90).save(turned, "PNG")
    sent = [jpeg, turned.getvalue(), jpeg, b"no image", turned.getvalue()]

    async def all_of_them() -> list[Image.Image | BaseException]:
        asked = (large.decode(data, None) for data in sent)
        return await asyncio.gather(*asked, return_exceptions=True)

    found = runner.run(all_of_them())
    assert isinstance(found[3], UnreadableImage)
    sizes = [image.size for image in found if isinstance(image, Image.Image)]
    assert sizes == [(2400, 1800), (1800, 2400), (2400, 1800), (1800, 2400)]


def test_who_leaves_spoils_nothing_for_the_next(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    async def leave_and_ask() -> Image.Image:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await large.decode(jpeg, None)
        return await large.decode(jpeg, 224)

    runner.run(large.decode(jpeg, None))  # the process is there
    assert runner.run(leave_and_ask()).tobytes() == decode_about(jpeg, LIMITS, 224).tobytes()


def test_who_leaves_while_the_image_is_written_is_not_taken_for_the_next(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = photograph(1, 2400, 1800)
    first, second = threading.Event(), threading.Event()
    write, overlaps = Path.write_bytes, list[bool]()

    def write_slowly(path: Path, data: bytes) -> int:
        if first.is_set():
            second.set()
        else:
            first.set()
            overlaps.append(second.wait(0.2))
        return write(path, data)

    async def leave_and_ask() -> Image.Image:
        leaving = asyncio.create_task(large.decode(jpeg, 224))
        await asyncio.to_thread(first.wait)
        leaving.cancel()
        return await large.decode(other, 224)

    monkeypatch.setattr(Path, "write_bytes", write_slowly)
    expected = decode_about(other, LIMITS, 224).tobytes()
    assert runner.run(leave_and_ask()).tobytes() == expected
    assert overlaps == [False]
    assert second.is_set()


def test_a_process_that_is_killed_is_one_answer_lost(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    runner.run(large.decode(jpeg, 224))
    os.kill(_pid(large), signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended over one of"):
        runner.run(large.decode(jpeg, 224))
    assert runner.run(large.decode(jpeg, 224)).size == (600, 450)


def test_it_gives_way_and_knows_no_torch(
    runner: asyncio.Runner, large: LargeImages, jpeg: bytes
) -> None:
    runner.run(large.decode(jpeg, 224))
    process = _process(large)
    assert process.submit(os.getpriority, os.PRIO_PROCESS, 0).result() == LARGE_NICE
    assert "PIL.Image" in process.submit(_modules).result()
    assert "torch" not in process.submit(_modules).result()


@pytest.mark.skipif(sys.platform != "linux", reason="waits for a process by its descriptor")
def test_it_ends_with_the_process_that_started_it() -> None:
    script = """
import asyncio, os, sys
from api.serving.large_images import LargeImages
from core.datasets.limits import Limits
from core.settings import Settings

async def start():
    images = LargeImages(Limits.from_settings(Settings()))
    try:
        await images.decode(b"no image", None)
    except Exception:
        print(next(iter(images._process._processes)), flush=True)
        sys.stdin.read()

if __name__ == "__main__":
    asyncio.run(start())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    watch = os.pidfd_open(child)
    parent.kill()
    parent.communicate()
    assert select.select([watch], [], [], 30.0)[0]
    os.close(watch)


def _process(large: LargeImages) -> ProcessPoolExecutor:
    assert large._process is not None
    return large._process


def _pid(large: LargeImages) -> int:
    (pid,) = _process(large)._processes
    return pid


def _modules() -> list[str]:
    return list(sys.modules)
