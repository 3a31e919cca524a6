"""Ports for a service that a command starts for itself."""

from __future__ import annotations

import socket

from core.settings import Settings


def free_ports(settings: Settings) -> dict[str, int]:
    """The settings' own ports, or free ones where something else listens there."""
    chosen = {}
    for name in ("port", "serving_port"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, getattr(settings, name)))
            except OSError:
                probe.bind((settings.host, 0))
            chosen[name] = int(probe.getsockname()[1])
    return chosen
