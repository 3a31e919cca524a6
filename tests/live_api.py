"""The API on a real port in this process, for what a test client would hold back: streams,
connections that break, clients that do not read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tests.services import free_port

STARTUP_SECONDS = 20.0


@contextmanager
def live(app: FastAPI) -> Iterator[str]:
    """The app's address, `http://127.0.0.1:PORT`, while the block runs. The app is as a process
    of its own would have it: one event loop, stopped as `lipsum up` stops it."""
    from cli.servers import Server

    port = free_port()
    config = uvicorn.Config(
        app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5
    )
    server = Server(config, app)
    thread = threading.Thread(target=server.run, name="live-api")
    thread.start()
    deadline = time.monotonic() + STARTUP_SECONDS
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the API did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(STARTUP_SECONDS)
        assert not thread.is_alive(), "the API did not stop"
