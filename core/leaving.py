"""Work for a client, given up when the client hangs up: nobody would read the answer.

For both HTTP apps: a person who closes the page hangs up on the API, which then hangs up on the
inference process, where the images that still wait are forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeVar

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]  # ASGI's, once the body was read

_Found = TypeVar("_Found")


class ClientLeft(Exception):
    """The connection was closed before the answer was there."""


async def unless_it_leaves(receive: Receive, working: Awaitable[_Found]) -> _Found:
    """What is awaited. Raises ClientLeft, having cancelled it, when the connection is closed."""
    work = asyncio.ensure_future(working)
    leaving = asyncio.create_task(_has_left(receive))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientLeft
        return await work
    finally:
        for task in (work, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _has_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
