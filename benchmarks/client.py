"""A client that costs next to nothing: one connection that stays open, and no library on it."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.api_process import STARTUP_SECONDS


class Connection:
    """Requests to one server, one after the other."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def get(self, path: str) -> bytes:
        """The answer's body. Raises AssertionError for any status but 200."""
        return self._send("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        """The same, of JSON that is sent."""
        return self._send("POST", path, body)

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = self._headers if body is None else self._headers | _JSON
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (method, path, answer.status, content[:500])
        return content


@contextmanager
def connect(port: int, key: str | None = None) -> Iterator[Connection]:
    """A connection for the block's duration."""
    connection = Connection(port, key)
    try:
        yield connection
    finally:
        connection.close()


def await_answer(
    process: subprocess.Popen[bytes], port: int, path: str, key: str | None = None
) -> None:
    """Returns at a started server's first answer, at most a few milliseconds late. Raises
    AssertionError when it ends before, and TimeoutError."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at start"
        try:
            with connect(port, key) as connection:
                connection.get(path)
        except ConnectionRefusedError:
            time.sleep(_POLL)
        else:
            return
    raise TimeoutError(f"the server did not answer within {STARTUP_SECONDS} s")


_POLL = 0.005  # seconds
_JSON = {"content-type": "application/json"}
