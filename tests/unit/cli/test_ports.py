"""Ports of a service that a command starts for itself."""

from __future__ import annotations

import socket

from cli.ports import any_ports, free_ports
from core.settings import Settings
from tests.services import free_ports as ports_nobody_has


def test_its_own_where_nobody_listens() -> None:
    own = ports_nobody_has("port", "serving_port")
    assert free_ports(Settings(**own)) == own


def test_two_others_where_somebody_does() -> None:
    with socket.socket() as one, socket.socket() as other:
        for server in (one, other):
            server.bind(("127.0.0.1", 0))
            server.listen()
        taken = {one.getsockname()[1], other.getsockname()[1]}
        settings = Settings(port=one.getsockname()[1], serving_port=other.getsockname()[1])
        for choose in (free_ports, any_ports):
            for _ in range(200):
                assert len(taken | set(choose(settings).values())) == 4
