"""A TCP proxy that loses replies: the server has done what it was asked, and the client never
hears of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class DroppingProxy:
    """Passes everything on, except the beginning of the next `drops` replies: there the
    connection breaks."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self.drops = 0
        self.dropped = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for source, sink, is_reply in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, is_reply), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_reply and self._must_drop():
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _must_drop(self) -> bool:
        with self._lock:
            if not self.drops:
                return False
            self.drops -= 1
            self.dropped += 1
            return True


@contextmanager
def dropping_proxy(target: str) -> Iterator[DroppingProxy]:
    """A proxy in front of an address `http://HOST:PORT`."""
    proxy = DroppingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
