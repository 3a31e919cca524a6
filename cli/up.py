"""`lipsum up`: the service in the foreground until Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType

from rich.console import Console

from cli.binding import exposure
from cli.service import NotReady, Service
from core.errors import InvalidRequest
from core.settings import Settings


def run(settings: Settings) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 when a part did not start."""
    console = Console(highlight=False)
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    console.print("starting ...")
    try:
        with Service(settings) as service:
            console.print(f"the service is at  {service.address}/v1")
            console.print(f"the API key is in  {settings.api_key_path}")
            for sentence in exposure(settings):
                console.print(sentence)
            console.print(f"logs are in        {settings.data_dir.resolve() / 'logs'}")
            console.print("Ctrl-C stops it; jobs go on at the next start.")
            service.run(console.print, lambda: stopping)
            console.print("stopping ...")
    except (NotReady, InvalidRequest) as fault:
        console.print(f"[red]{fault}[/red]")
        return 1
    return 0
