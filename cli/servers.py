"""The two HTTP processes under uvicorn."""

from __future__ import annotations

import gc
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from cli.binding import check_start
from core import logging
from core.settings import Settings

GRACE = 10  # seconds that open requests get when the process is asked to stop
IDLE = 75  # seconds that the inference process keeps a connection; the API ends it earlier
NOT_STARTED = 3  # exit status, as of uvicorn's own command
_MOST_FILES = 65_536  # of one process: each event stream that is open is one


def run_api(settings: Settings) -> None:
    """Serve the API on its host and port until stopped. Raises InvalidRequest where it must not."""
    with _for_good():
        from api.app import create_app

        logging.configure(settings)
        check_start(settings)
        raise_file_limit()
        server = ApiServer(create_app(settings), settings)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


class ApiServer(uvicorn.Server):
    """The API. Its event streams end first: they are requests that would outlast any grace."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._app = app
        config = uvicorn.Config(
            app,
            http="h11",  # httptools bounds no header, and here anybody may send one
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            # uvicorn would believe what anybody on this machine says of where a request is from.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.feed.end_all()
        await super().shutdown(sockets)


@contextmanager
def _for_good() -> Iterator[None]:
    """What is made in the block stays until the process ends: the collector does not look through
    it, neither meanwhile, which is a tenth of the start, nor later, while requests wait."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def raise_file_limit() -> None:
    """Many systems let a process open 1,024 files unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def run_serving(settings: Settings) -> None:
    """Serve inference on its host and port until stopped."""
    with _for_good():
        from api.serving.app import create_serving_app
        from api.serving.threads import compute_on

        logging.configure(settings)
        app = create_serving_app(settings)
    compute_on(1)  # what the event loop computes
    uvicorn.run(
        app,
        http="httptools",
        host=settings.serving_host,
        port=settings.serving_port,
        log_config=None,
        access_log=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
