"""Images per second under load: ours through its API, against the peers at their best and against
forward passes without any server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import bare, ours, peers
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import closed, opened
from benchmarks.serving.models import Served, make

IMAGES = 64
Options = dict[str, Any]


@dataclass(frozen=True)
class _Running:
    """A server, and what it is asked."""

    port: int
    requests: Sequence[bytes]


def measure(
    models: Sequence[str],
    clients: Sequence[int],
    seconds: float,
    sweep: Mapping[str, Sequence[Options]],
    open_shares: Sequence[float],
) -> dict[str, Any]:
    """For each model: ours, each peer at the best of its sweep, bare forward passes."""
    versions = peers.install()
    pictures = jpegs(IMAGES)
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-inference-") as made:
        for name in models:
            served = make(name, Path(made))
            found[name] = _of_model(served, pictures, clients, seconds, sweep, open_shares)
    return {"peers": versions, "clients": list(clients), "models": found}


def _of_model(
    served: Served,
    pictures: Sequence[bytes],
    clients: Sequence[int],
    seconds: float,
    sweep: Mapping[str, Sequence[Options]],
    open_shares: Sequence[float],
) -> dict[str, Any]:
    servers: dict[str, Callable[[Options], AbstractContextManager[_Running]]] = {
        "litserve": lambda options: _litserve(served, pictures, options),
        "bentoml": lambda options: _bentoml(served, pictures, options),
    }
    swept = {
        name: [
            {"options": options, **_best(servers[name](options), clients, seconds)}
            for options in sweep[name]
        ]
        for name in sweep
    }
    best = {
        name: max(rows, key=lambda row: row["best"]["per_second"]) for name, rows in swept.items()
    }
    rounds = {}
    for name, server in (
        ("ours", _ours(served, pictures)),
        *((name, servers[name](best[name]["options"])) for name in best),
    ):
        with server as running:
            rounds[name] = _measured(running, clients, seconds, open_shares)
    threads = os.cpu_count() or 1
    forward = bare.forward_per_second(served.tuned, threads, (1, 8, 32), seconds)
    return {
        "swept": swept,
        "servers": rounds,
        "bare": {str(size): round(rate, 2) for size, rate in forward.items()},
    }


def _best(
    server: AbstractContextManager[_Running], clients: Sequence[int], seconds: float
) -> dict[str, Any]:
    with server as running:
        loads = {n: closed(running.port, running.requests, n, seconds) for n in clients}
    n, load = max(loads.items(), key=lambda item: item[1].per_second)
    return {"best": {"clients": n, **load.figures()}}


def _measured(
    running: _Running, clients: Sequence[int], seconds: float, open_shares: Sequence[float]
) -> dict[str, Any]:
    closed(running.port, running.requests, max(clients), seconds / 2)  # everything is warm then
    loads = {n: closed(running.port, running.requests, n, seconds) for n in clients}
    most = max(load.per_second for load in loads.values())
    return {
        "closed": {str(n): load.figures() for n, load in loads.items()},
        "open": {
            f"{share:g}": opened(running.port, running.requests, share * most, seconds).figures()
            for share in open_shares
        },
    }


@contextmanager
def _ours(served: Served, pictures: Sequence[bytes]) -> Iterator[_Running]:
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-ours-") as folder,
        ours.service(Path(folder), served.base, served.tuned) as service,
    ):
        yield _Running(service.port, [service.classify(picture) for picture in pictures])


@contextmanager
def _litserve(served: Served, pictures: Sequence[bytes], options: Options) -> Iterator[_Running]:
    with peers.litserve(served.tuned, **options) as port:
        yield _Running(port, [peers.for_litserve(picture) for picture in pictures])


@contextmanager
def _bentoml(served: Served, pictures: Sequence[bytes], options: Options) -> Iterator[_Running]:
    with peers.bentoml(served.tuned, **options) as port:
        yield _Running(port, [peers.for_bentoml(picture) for picture in pictures])
