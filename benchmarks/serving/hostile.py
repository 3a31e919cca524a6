"""What well-behaved clients feel of others that send what is no image, and images that are huge."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks.serving import ours
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import Load, closed, medians, opened
from benchmarks.serving.models import make
from tests.unit.datasets.crafted import png_bytes

IMAGES = 32
CLIENTS = 8  # in a closed loop, for the most that are answered
GIANT = (7000, 5000)  # pixels, of the 50 million that are allowed
BOMB = 30_000  # pixels each way, as its header says
LABELS = 100_000
FOREVER = 1e9
READY_SECONDS = 60.0


def measure(
    models: Sequence[str],
    limits: Mapping[str, int | None],
    share: float,
    hostile: int,
    seconds: float,
    rounds: int,
) -> dict[str, Any]:
    """For each model and limit of the hostile project, in requests a minute: p99 of others'
    requests at random times, this share of the most that are answered, with and without so many
    hostile clients, who ask again as soon as they are answered; in turns."""
    pictures, giant = jpegs(IMAGES), jpegs(1, *GIANT)[0]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-hostile-") as made:
        for name in models:
            served = make(name, Path(made))
            found[name] = {}
            for limit, per_minute in limits.items():
                with ours.settled(served, pictures, neighbours_limit=per_minute) as service:
                    good = [service.classify(each) for each in pictures]
                    most = closed(service.port, good, CLIENTS, seconds).per_second
                    found[name][limit] = {"most": round(most, 2)} | _in_turns(
                        partial(opened, service.port, good, share * most, seconds),
                        partial(_harassed, service.port, bad_requests(service, giant), hostile),
                        rounds,
                    )
    return {"share": share, "hostile": hostile, "limits": dict(limits), "models": found}


def _in_turns(
    ask: Callable[[], Load], harassed: Callable[[], AbstractContextManager[None]], rounds: int
) -> dict[str, Any]:
    calm: list[Load] = []
    meanwhile: list[Load] = []
    for _ in range(rounds):
        calm.append(ask())
        with harassed():
            meanwhile.append(ask())
    ratios = [
        after.percentile(99) / before.percentile(99)
        for before, after in zip(calm, meanwhile, strict=True)
    ]
    return {
        "calm": medians(calm),
        "harassed": medians(meanwhile),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
    }


def bad_requests(service: ours.Ours, giant: bytes) -> list[bytes]:
    """Each kind once: what is refused at sight, what is found out late, and what is allowed and
    takes long."""
    picture = jpegs(1)[0]
    bomb = png_bytes(BOMB, BOMB, pixels=b"\0" + bytes(3 * BOMB))
    labels = [f"thing {n}" for n in range(LABELS)]
    body = {
        "inputs": base64.b64encode(picture).decode(),
        "parameters": {"candidate_labels": labels},
    }
    return [
        service.neighbour.classify(b"no image"),
        service.neighbour.classify(b""),
        service.neighbour.classify(picture[: len(picture) // 2]),
        service.neighbour.classify(bomb, kind="image/png"),
        service.neighbour.classify(giant),
        service.neighbour.classify(json.dumps(body).encode(), kind="application/json"),
    ]


@contextmanager
def _harassed(port: int, requests: Sequence[bytes], clients: int) -> Iterator[None]:
    """From a process of its own, whose start is over when the block begins: what it takes to send
    these is not the others' to pay."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    sender = spawn.Process(target=_harass, args=(ready, port, requests, clients), daemon=True)
    sender.start()
    try:
        if not ready.wait(READY_SECONDS):
            raise TimeoutError(f"the hostile clients did not start within {READY_SECONDS} s")
        yield
        if not sender.is_alive():
            raise RuntimeError("the hostile clients ended before they were told to")
    finally:
        sender.kill()
        sender.join()


def _harass(ready: Event, port: int, requests: Sequence[bytes], clients: int) -> None:
    os.nice(19)  # elsewhere these clients would have cores of their own
    ready.set()
    closed(port, requests, clients, FOREVER)
