"""Clients by the dozen that cost next to nothing: requests are bytes made before, answers are
counted and not read.

A closed loop asks again when it is answered; an open one asks when its time has come, answered or
not, and counts the wait from that time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

PATIENCE = 30.0  # seconds for one answer


@dataclass
class Load:
    """What some clients saw."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # of answers 200, seconds
    refused: int = 0  # answers of any other status

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, q: float) -> float:
        """Seconds."""
        return float(np.percentile(self.latencies, q)) if self.latencies else float("inf")

    def figures(self) -> dict[str, float]:
        """Rounded, for a record."""
        return {
            "per_second": round(self.per_second, 2),
            "p50": round(self.percentile(50), 5),
            "p99": round(self.percentile(99), 5),
            "answers": len(self.latencies),
            "refused": self.refused,
        }


def medians(loads: Sequence[Load]) -> dict[str, float]:
    """The figures of several loads, each the median."""
    rows = [load.figures() for load in loads]
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


def request(
    path: str, body: bytes, *, kind: str, key: str | None = None, host: str = "127.0.0.1"
) -> bytes:
    """One POST, as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\n"
    if key is not None:
        head += f"authorization: Bearer {key}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def closed(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """So many clients, each of which asks again as soon as it is answered."""

    async def run() -> Load:
        load = Load()
        began = time.perf_counter()
        until = began + seconds
        await asyncio.gather(*(_ask_on(port, requests, n, until, load) for n in range(clients)))
        load.seconds = time.perf_counter() - began
        return load

    return asyncio.run(run())


def opened(port: int, requests: Sequence[bytes], per_second: float, seconds: float) -> Load:
    """Requests at random times, so many a second; connections as many as it takes."""

    async def run() -> Load:
        load, idle = Load(), list[_Connection]()
        draws = np.random.default_rng(0)
        times = np.cumsum(draws.exponential(1 / per_second, int(per_second * seconds)))
        began = time.perf_counter()

        async def one(n: int, due: float) -> None:
            request = requests[n % len(requests)]
            connection, status = await _ask_over_any(idle, port, request)
            _note(load, status, due)
            idle.append(connection)

        tasks = []
        for n, at in enumerate(times):
            due = began + float(at)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(n, due)))
        await asyncio.gather(*tasks)
        load.seconds = time.perf_counter() - began
        for connection in idle:
            connection.close()
        return load

    return asyncio.run(run())


async def _ask_over_any(
    idle: list[_Connection], port: int, request: bytes
) -> tuple[_Connection, int]:
    """The connection that the request went over, and the answer's status. Servers end connections
    that were idle for long."""
    while idle:
        connection = idle.pop()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            return connection, await connection.ask(request)
    connection = await _Connection.to(port)
    return connection, await connection.ask(request)


async def _ask_on(
    port: int, requests: Sequence[bytes], first: int, until: float, load: Load
) -> None:
    connection, n = await _Connection.to(port), first
    while (due := time.perf_counter()) < until:
        try:
            _note(load, await connection.ask(requests[n % len(requests)]), due)
        except (asyncio.IncompleteReadError, ConnectionError):
            load.refused += 1  # and the server hung up: it need not read what it refuses
            connection.close()
            connection = await _Connection.to(port)
        n += 7  # clients do not ask for the same image at once
    connection.close()


def _note(load: Load, status: int, due: float) -> None:
    if status == 200:
        load.latencies.append(time.perf_counter() - due)
    else:
        load.refused += 1


class _Connection:
    """One that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        """The answer's status, once all of it has come."""
        self._writer.write(request)
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _length(head)
            if length is None:
                await self._read_chunks()
            else:
                await self._reader.readexactly(length)
        return int(head.split(b" ", 2)[1])

    async def _read_chunks(self) -> None:
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            await self._reader.readexactly(size + 2)
        await self._reader.readuntil(b"\r\n")

    def close(self) -> None:
        self._writer.close()


def _length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return None
