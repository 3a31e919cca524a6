"""One request at a time, and two models in one request: what a single user feels."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from api.serving.precision import load_for_serving
from benchmarks.serving import bare, ours
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import closed, medians
from benchmarks.serving.models import make
from core.learning.models import Clip

IMAGES = 32


def measure(
    models: Sequence[str], seconds: float, rounds: int, device: str = "cpu"
) -> dict[str, Any]:
    """For each model: p50 of one request at a time beside decoding and a forward pass alone; one
    request to two models beside two requests, in turns."""
    pictures = jpegs(IMAGES)
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-latency-") as made:
        for name in models:
            served = make(name, Path(made))
            with ours.settled(served, pictures, device=device) as service:
                forward = load_for_serving(served.tuned, torch.device(device), "auto")
                found[name] = {
                    "together": _together(service, pictures, seconds / rounds, rounds),
                    "alone": _alone(service, forward, pictures, seconds / rounds, rounds),
                }
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


def _alone(
    service: ours.Ours, forward: Clip, pictures: Sequence[bytes], seconds: float, rounds: int
) -> dict[str, float]:
    """p50 of a request to the model, and of its image alone in the precision it is served in."""
    requests = [service.classify(each) for each in pictures]
    threads = os.cpu_count() or 1
    answers, bare_seconds = [], []
    for _ in range(rounds):
        answers.append(closed(service.port, requests, 1, seconds))
        bare_seconds.append(bare.alone(forward, pictures, threads, seconds))
    return {**medians(answers), "bare": round(statistics.median(bare_seconds), 5)}
