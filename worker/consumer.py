"""The process that hears the doorbell: a Celery worker beside the supervisor, its child.

It is a process of its own because a broker's client may hang, leak or crash, and none of that
may touch the process that holds leases. All it does is write a byte to a pipe.

    python -m worker.consumer --pipe-fd N --parent PID
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from core import logging
from core.settings import Settings, load_settings
from worker.app import make_celery
from worker.parent_death import die_with_parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Listens until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipe-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args(arguments)
    die_with_parent(options.parent)
    settings = load_settings()
    logging.configure(settings)
    os.set_blocking(options.pipe_fd, False)
    listen(settings, options.pipe_fd)


def listen(settings: Settings, pipe: int) -> None:
    """Writes a byte to `pipe` for every ring, until the process ends."""

    def on_ring() -> None:
        try:
            os.write(pipe, b"\x01")
        except BlockingIOError:
            return  # the pipe is full of rings: one more says nothing new

    worker = make_celery(settings, on_ring).Worker(
        pool="solo",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel=settings.log_level.upper(),
        quiet=True,
    )
    worker.start()


if __name__ == "__main__":
    main()
