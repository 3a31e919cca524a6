"""Images per second under load: ours through its API, against the peers at their best and against
forward passes without any server."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.serving import bare, ours, peers
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import Load, closed, medians, opened
from benchmarks.serving.models import Served, make

IMAGES = 64
BATCHES = (1, 8, 32)  # of bare forward passes
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
    rounds: int,
    sweep: Mapping[str, Sequence[Options]],
    open_shares: Sequence[float],
    ours_as: Mapping[str, Options],
    device: str = "cpu",
    peers_dtype: str = "float32",
) -> dict[str, Any]:
    """For each model: ours with each of these changes of settings, each peer at the best of its
    sweep, bare forward passes."""
    versions = peers.install(sweep)
    pictures = jpegs(IMAGES)
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-inference-") as made:
        for name in models:
            made_model = make(name, Path(made))
            asking = _Asking(made_model, pictures, clients, seconds, device, peers_dtype)
            found[name] = _of_model(asking, ours_as, rounds, sweep, open_shares)
    return {"peers": versions, "clients": list(clients), "rounds": rounds, "models": found}


@dataclass(frozen=True)
class _Asking:
    """What is served, and how it is asked."""

    served: Served
    pictures: Sequence[bytes]
    clients: Sequence[int]
    seconds: float
    device: str
    peers_dtype: str

    def ours(self, changes: Options) -> AbstractContextManager[_Running]:
        """Ours with these settings."""
        return _ours(self.served, self.pictures, device=self.device, **changes)

    def peer(self, name: str, options: Options) -> AbstractContextManager[_Running]:
        """A peer with these options."""
        start = {"litserve": _litserve, "bentoml": _bentoml}[name]
        where = {"device": self.device, "dtype": self.peers_dtype}
        return start(self.served, self.pictures, options | where)

    def load(self, running: _Running, clients: int) -> Load:
        """One stretch of a closed loop."""
        return closed(running.port, running.requests, clients, self.seconds)


def _of_model(
    asking: _Asking,
    ours_as: Mapping[str, Options],
    rounds: int,
    sweep: Mapping[str, Sequence[Options]],
    open_shares: Sequence[float],
) -> dict[str, Any]:
    swept = {
        name: [
            {"options": options, "best": _best(asking, asking.peer(name, options))}
            for options in every
        ]
        for name, every in sweep.items()
    }
    with ExitStack() as started:
        servers = {
            name: started.enter_context(asking.ours(changes)) for name, changes in ours_as.items()
        }
        for name, rows in swept.items():
            best = max(rows, key=lambda row: float(row["best"]["per_second"]))
            servers[name] = started.enter_context(asking.peer(name, best["options"]))
        return {"swept": swept, **_in_turns(asking, servers, rounds, open_shares)}


def _bare(asking: _Asking) -> dict[str, dict[str, float]]:
    """Images per second by precision and batch size."""
    threads, device, found = os.cpu_count() or 1, torch.device(asking.device), {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rates = bare.forward_per_second(
            asking.served.tuned, threads, BATCHES, asking.seconds / 2, dtype, device
        )
        found[name] = {str(size): round(rate, 2) for size, rate in rates.items()}
    return found


def _median(rates: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {size: statistics.median(one[name][size] for one in rates) for size in by_size}
        for name, by_size in rates[0].items()
    }


def _best(asking: _Asking, server: AbstractContextManager[_Running]) -> dict[str, float]:
    with server as running:
        loads = {n: asking.load(running, n) for n in asking.clients}
    n, load = max(loads.items(), key=lambda item: item[1].per_second)
    return {"clients": n, **load.figures()}


def _in_turns(
    asking: _Asking,
    servers: Mapping[str, _Running],
    rounds: int,
    open_shares: Sequence[float],
) -> dict[str, Any]:
    """Every server waits while another is asked: a machine that is slower for a while is slower for
    all of them, and for the bare forward passes. Figures are medians over the rounds."""
    for running in servers.values():
        asking.load(running, max(asking.clients))  # everything is warm then
    found: dict[str, Any] = {name: {"closed": {}, "open": {}} for name in servers}
    forward = []
    for n in asking.clients:
        forward.append(_bare(asking))
        loads: dict[str, list[Load]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, running in servers.items():
                loads[name].append(asking.load(running, n))
        for name, of_server in loads.items():
            found[name]["closed"][str(n)] = medians(of_server)
    for name, running in servers.items():
        most = max(row["per_second"] for row in found[name]["closed"].values())
        for share in open_shares:
            load = opened(running.port, running.requests, share * most, asking.seconds)
            found[name]["open"][f"{share:g}"] = load.figures()
    return {"servers": found, "bare": _median(forward)}


@contextmanager
def _ours(served: Served, pictures: Sequence[bytes], **changes: Any) -> Iterator[_Running]:
    with ours.settled(served, pictures, **changes) as service:
        yield _Running(service.port, [service.classify(picture) for picture in pictures])


@contextmanager
def _litserve(served: Served, pictures: Sequence[bytes], options: Options) -> Iterator[_Running]:
    with peers.litserve(served.tuned, **options) as port:
        yield _Running(port, [peers.for_litserve(picture) for picture in pictures])


@contextmanager
def _bentoml(served: Served, pictures: Sequence[bytes], options: Options) -> Iterator[_Running]:
    with peers.bentoml(served.tuned, **options) as port:
        yield _Running(port, [peers.for_bentoml(picture) for picture in pictures])
