"""Ports for a service that a command starts for itself."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from core.settings import Settings

_NAMES = ("port", "serving_port")


def any_ports(settings: Settings) -> dict[str, int]:
    """Free ports, others than those of any service that starts at the same moment."""
    return _chosen(settings.host, dict.fromkeys(_NAMES, 0))


def free_ports(settings: Settings) -> dict[str, int]:
    """The settings' own ports, or free ones where something else listens there."""
    return _chosen(settings.host, {name: getattr(settings, name) for name in _NAMES})


def _chosen(host: str, wanted: dict[str, int]) -> dict[str, int]:
    """These ports; any other where one is 0 or taken."""
    chosen = {}
    with ExitStack() as held:  # until all are chosen: no two may be the same
        for name, port in wanted.items():
            probe = held.enter_context(socket.socket())
            try:
                # What nobody listens on any more counts as free. For a port that the system
                # chooses that must not hold: it could be one that another probe has.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, port != 0)
                probe.bind((host, port))
            except OSError:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
                probe.bind((host, 0))
            chosen[name] = int(probe.getsockname()[1])
    return chosen
