"""The two HTTP processes under uvicorn."""

from __future__ import annotations

import sys
from contextlib import suppress

import uvicorn

from cli.binding import check_start
from core import logging
from core.settings import Settings

GRACE = 10  # seconds that open requests get when the process is asked to stop
NOT_STARTED = 3  # exit status, as of uvicorn's own command


def run_api(settings: Settings) -> None:
    """Serve the API on its host and port until stopped. Raises InvalidRequest where it must not."""
    logging.configure(settings)
    check_start(settings)
    server = uvicorn.Server(api_config(settings))
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def api_config(settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the API."""
    from api.app import create_app

    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        # uvicorn would believe what anybody on this machine says of where a request is from.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
    )


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
