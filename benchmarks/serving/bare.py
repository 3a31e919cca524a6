"""What a model and an image cost without any server: forward passes and decoding alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from api.serving.precision import tower_features
from core.datasets.images import decode
from core.datasets.limits import Limits
from core.learning.models import Clip, load_directory
from core.settings import Settings


def forward_per_second(
    directory: Path,
    threads: int,
    batch_sizes: tuple[int, ...],
    seconds: float,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[int, float]:
    """Images per second of the image tower, by batch size."""
    torch.set_num_threads(threads)
    clip = load_directory(directory).to(device)
    clip.visual.to(dtype)
    side = clip.image_size
    found = {}
    for size in batch_sizes:
        images = torch.randn(size, 3, side, side, dtype=dtype, device=device)
        with torch.inference_mode():
            found[size] = size * _rate(lambda: clip.image_features(images).cpu(), seconds)  # noqa: B023
    return found


def alone(clip: Clip, jpegs: Sequence[bytes], threads: int, seconds: float) -> float:
    """Seconds to decode, prepare and pass forward one image, median, nothing else going on."""
    torch.set_num_threads(threads)
    limits = Limits.from_settings(Settings())
    taken: list[float] = []

    def one() -> None:
        began = time.perf_counter()
        image = decode(jpegs[len(taken) % len(jpegs)], limits)
        tower_features(clip, clip.preprocess(image)[None])
        taken.append(time.perf_counter() - began)

    _rate(one, seconds)
    return sorted(taken)[len(taken) // 2]


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Times a second, after some to warm up."""
    for _ in range(3):
        work()
    n, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        work()
        n += 1
    return n / spent
