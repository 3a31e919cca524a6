"""Ports for a service that a command starts for itself."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from core.settings import Settings

_NAMES = ("port", "serving_port")


def any_ports(settings: Settings) -> dict[str, int]:
    """Free ports, others than those of any service that starts at the same moment."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind((settings.host, 0))
        ports = (int(probe.getsockname()[1]) for probe in (one, other))
        return dict(zip(_NAMES, ports, strict=True))


def free_ports(settings: Settings) -> dict[str, int]:
    """The settings' own ports, or free ones where something else listens there."""
    chosen = {}
    with ExitStack() as held:  # until both are chosen: they must not be the same
        for name in _NAMES:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, getattr(settings, name)))
            except OSError:
                probe.bind((settings.host, 0))
            chosen[name] = int(probe.getsockname()[1])
    return chosen
