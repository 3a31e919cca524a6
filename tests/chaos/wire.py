"""Relays between a worker and its servers: they show what is asked, and can cut the line.

A fault is aimed with them. What a worker asks of its database and its store passes here before it
goes on, so a checkpoint's upload, a deletion of the sweeper or the commit that publishes a job is
struck while it is under way, without a hook in the code that is tried.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

_JOB = re.compile(rb"ftjob-[A-Za-z0-9]+")
_OBJECT = re.compile(rb"/jobs/(ftjob-[A-Za-z0-9]+)/attempts/(\d+)/([^ ?]+)")
_STEP = re.compile(r"-step-(\d+)\.")


@dataclass
class Request:
    """Something on its way to a server that faults may be aimed at."""

    aim: str  # checkpoint_write, artifact_upload, publication or purge
    job: str
    what: str
    step: int | None = None
    loses_answer: bool = False  # set by who wants it done and never answered


@dataclass
class _Channel:
    """One connection."""

    client: socket.socket
    server: socket.socket
    publishing: list[str] = field(default_factory=list)  # by the open transaction
    loses_answer: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Relay:
    """A port of its own in front of a server on this machine."""

    target: int
    on_request: Callable[[Request], None] = lambda request: None
    is_cut: bool = False
    _channels: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open: dict[int, _Channel] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection and takes no other until `mend`."""
        self.is_cut = True
        with self._lock:
            for channel in self._open.values():
                channel.close()

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.is_cut:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = _Channel(client, server)
            with self._lock:
                self._open[id(channel)] = channel
            threading.Thread(target=self._forth, args=(channel,), daemon=True).start()
            threading.Thread(target=self._back, args=(channel,), daemon=True).start()

    def _forth(self, channel: _Channel) -> None:
        with suppress(OSError):
            while data := channel.client.recv(262_144):
                request = read(channel.publishing, data)
                if request is not None:
                    self.on_request(request)
                    channel.loses_answer |= request.loses_answer
                channel.server.sendall(data)
        channel.close()

    def _back(self, channel: _Channel) -> None:
        with suppress(OSError):
            while data := channel.server.recv(262_144):
                if channel.loses_answer:
                    break
                channel.client.sendall(data)
        channel.close()
        with self._lock:
            self._open.pop(id(channel), None)
        channel.client.close()
        channel.server.close()


def read(publishing: list[str], data: bytes) -> Request | None:
    """What a piece of a request says, of HTTP or of PostgreSQL's protocol. `publishing` is what the
    connection's open transaction has published so far, and is kept by this."""
    method = data[:7].split(b" ", 1)[0]
    if method in (b"PUT", b"POST", b"DELETE"):
        return _of_store(method, data)
    return _of_database(publishing, data)


def _of_store(method: bytes, data: bytes) -> Request | None:
    line, _, rest = data.partition(b"\r\n")
    found = _OBJECT.search(line)
    if method == b"DELETE" and found is not None:
        return Request("purge", found[1].decode(), f"DELETE {found[3].decode()}")
    if method == b"POST" and b"?delete" in line:
        job = _JOB.search(rest)
        return Request("purge", job[0].decode() if job else "", "POST ?delete")
    if found is None:
        return None
    name = found[3].decode()
    if name.startswith("checkpoints/"):
        step = _STEP.search(name)
        what = f"{method.decode()} {name}"
        return Request("checkpoint_write", found[1].decode(), what, int(step[1]) if step else None)
    return Request("artifact_upload", found[1].decode(), f"{method.decode()} {name}")


def _of_database(publishing: list[str], data: bytes) -> Request | None:
    """The transaction that publishes sets one status, `succeeded`: no other has that value and not
    `cancelled` beside it."""
    if b"succeeded" in data and b"cancelled" not in data:
        publishing[:] = [job.decode() for job in _JOB.findall(data)[:1]]
    if b"COMMIT" in data and publishing:
        return Request("publication", publishing.pop(), "COMMIT")
    if b"ROLLBACK" in data:
        publishing.clear()
    return None
