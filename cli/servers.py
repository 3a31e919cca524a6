"""The two HTTP processes under uvicorn."""

from __future__ import annotations

import uvicorn

from core import logging
from core.settings import Settings

GRACE = 10  # seconds that open requests get when the process is asked to stop


def run_api(settings: Settings) -> None:
    """Serve the API on its host and port until stopped."""
    from api.app import create_app

    logging.configure(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
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
