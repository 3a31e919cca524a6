"""What models take of the inference process's memory, once they are there and have answered."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.memory import resident
from benchmarks.serving import ours
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import closed
from benchmarks.serving.models import Served, make, retuned
from core.learning.models import WEIGHTS_FILE
from core.settings import GIB

IMAGES = 8
ROOM = 16 * GIB  # of models; none leaves while it is measured


def measure(
    models: Sequence[str], n: int, seconds: float, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """For each model and each of these settings: how much the process grows by each of `n` models
    after the first, which brings torch and its buffers along."""
    pictures, found = jpegs(IMAGES), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="lipsum-held-") as made:
        for name in models:
            served = make(name, Path(made))
            others = [
                retuned(served.base, Path(made) / name / f"other-{k}", k) for k in range(1, n + 1)
            ]
            found[name] = {
                "weights": (served.tuned / WEIGHTS_FILE).stat().st_size,  # in float32, all of them
                "grown": {
                    key: _grown(served, others, pictures, seconds, changes)
                    for key, changes in settings.items()
                },
            }
    return {"n": n, "models": found}


def _grown(
    served: Served,
    others: Sequence[Path],
    pictures: Sequence[bytes],
    seconds: float,
    changes: Mapping[str, Any],
) -> list[int]:
    """Bytes by each further model."""
    sizes = []
    with (
        tempfile.TemporaryDirectory(prefix="lipsum-ours-") as folder,
        ours.service(
            Path(folder), served.base, served.tuned, others, serving_model_bytes=ROOM, **changes
        ) as service,
    ):
        for model in (service.tuned, *service.others):
            requests = [service.classify(picture, model) for picture in pictures]
            while not closed(service.port, requests, 2, seconds).latencies:
                pass  # it is being loaded
            sizes.append(resident(service.serving_pid))
    return [after - before for before, after in pairwise(sizes)]
