"""One request at a time, and two models in one request: what a single user feels."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving import bare, ours
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import closed
from benchmarks.serving.models import make

IMAGES = 32


def measure(models: Sequence[str], seconds: float, rounds: int) -> dict[str, Any]:
    """For each model: p50 of one request at a time beside decoding and a forward pass alone; one
    request to two models beside two requests, in turns."""
    pictures = jpegs(IMAGES)
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-latency-") as made:
        for name in models:
            served = make(name, Path(made))
            with (
                tempfile.TemporaryDirectory(prefix="lipsum-ours-") as folder,
                ours.service(Path(folder), served.base, served.tuned) as service,
            ):
                service.settle(pictures)
                found[name] = {
                    "together": _together(service, pictures, seconds / rounds, rounds),
                    "alone": _alone(service, pictures, seconds),
                }
            threads = os.cpu_count() or 1
            bare_seconds = bare.alone(served.tuned, pictures, threads, seconds)
            found[name]["alone"]["bare"] = round(bare_seconds, 5)
    return {"models": found}


def _together(
    service: ours.Ours, pictures: Sequence[bytes], seconds: float, rounds: int
) -> dict[str, Any]:
    both = [service.compare(picture) for picture in pictures]
    single = [
        request
        for picture in pictures
        for request in (service.zero_shot(picture), service.classify(picture))
    ]
    ratios = []
    for _ in range(rounds):
        together = closed(service.port, both, 1, seconds)
        apart = closed(service.port, single, 1, seconds)
        ratios.append(apart.per_second / 2 / together.per_second)
    return {"ratios": [round(ratio, 4) for ratio in ratios], "ratio": statistics.median(ratios)}


def _alone(service: ours.Ours, pictures: Sequence[bytes], seconds: float) -> dict[str, float]:
    requests = [service.classify(each) for each in pictures]
    closed(service.port, requests, 1, seconds / 4)  # warm
    return closed(service.port, requests, 1, seconds).figures()
