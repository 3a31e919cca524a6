"""The two HTTP processes under uvicorn."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from core import logging
from core.settings import Settings

GRACE = 10  # seconds that open requests get when the process is asked to stop
_STARTUP_FAILURE = 3  # as uvicorn's own command has it
_MOST_FILES = 65_536  # of one process: each event stream that is open is one


def run_api(settings: Settings) -> None:
    """Serve the API on its host and port until stopped."""
    from api.app import create_app

    logging.configure(settings)
    _raise_file_limit()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = Server(config, app)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(_STARTUP_FAILURE)


class Server(uvicorn.Server):
    """Ends the event streams first: they are requests that would outlast any grace."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.feed.end_all()
        await super().shutdown(sockets)


def _raise_file_limit() -> None:
    """Many systems let a process open 1,024 files unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def run_serving(settings: Settings) -> None:
    """Serve inference on its host and port until stopped."""
    from api.serving.app import create_serving_app

    logging.configure(settings)
    uvicorn.run(
        create_serving_app(settings),
        host=settings.serving_host,
        port=settings.serving_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
