"""A TCP proxy in front of the service that cuts connections, or lets them stall."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class CuttingProxy:
    """Passes bytes on until it is told otherwise. A context manager; its thread has the loop."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._stalled: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> CuttingProxy:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        return self

    def __exit__(self, *fault: object) -> None:
        assert self._server is not None
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self) -> None:
        """Breaks every open connection; new ones are served."""

        async def cut() -> None:
            for writer in list(self._writers):
                writer.transport.abort()

        self._do(cut())

    def away(self, is_away: bool) -> None:
        """While it is away new connections are broken at once, and open ones now."""
        self._refuses = is_away
        if is_away:
            self.cut()

    def stall(self) -> None:
        """From now on nothing passes through the connections that are open, and no new one."""
        self._stalled = set(self._writers)
        self._refuses = True

    def go_on_with_new_ones(self) -> None:
        """New connections are served; those that stalled stay so."""
        self._refuses = False

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer in self._stalled:
                    await asyncio.Event().wait()  # for ever: it ends with the loop
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        with suppress(OSError, RuntimeError):
            writer.close()
