"""The drawn web as arrays: pictures and captions rendered once, kept on disk, read many times.

Rendering is cheap (under a millisecond) but a training step is not much dearer, so the pictures are
drawn once by every core and memory-mapped afterwards. The cache's name holds a digest of the code
that draws, so a changed world is never trained on from stale pictures.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.demo import canvas, captions, photograph, shapes, styles, world
from core.demo.world import CLASSES, DOMAINS, IMAGE_SIZE, Split, caption, render

Ids = NDArray[np.int64]
Pictures = NDArray[np.uint8]

PER_CLASS: dict[str, int] = {
    "real": 2000,
    "painting": 800,
    "clipart": 400,
    "infograph": 1000,
    "sketch": 500,
}
"""Pictures of each class in each domain: as on the web, photographs are the commonest."""


class Web(NamedTuple):
    """Pictures with their captions: `images_NHWC`, and per picture label, domain and sentence."""

    images_NHWC: Pictures
    labels_N: Ids
    domains_N: Ids
    captions_N: list[str]
    names_domain_N: NDArray[np.bool_]


def drawn_web(
    cache: Path, *, split: Split, per_class: dict[str, int], seed: int, workers: int
) -> Web:
    """The split's pictures from `cache`, drawing them first if they are not there."""
    rows = _rows(per_class)
    images = _images(cache, rows, split, seed, workers)
    spoken = [caption(DOMAINS[d], split, c, i, seed=seed) for d, c, i in rows.tolist()]
    return Web(
        images_NHWC=images,
        labels_N=rows[:, 1].copy(),
        domains_N=rows[:, 0].copy(),
        captions_N=[sentence for sentence, _ in spoken],
        names_domain_N=np.array([names for _, names in spoken]),
    )


def _rows(per_class: dict[str, int]) -> Ids:
    """One row (domain, label, index) a picture."""
    blocks = [
        np.stack(
            [
                np.full(len(CLASSES) * count, DOMAINS.index(domain)),
                np.repeat(np.arange(len(CLASSES)), count),
                np.tile(np.arange(count), len(CLASSES)),
            ],
            axis=1,
        )
        for domain, count in per_class.items()
    ]
    return np.concatenate(blocks).astype(np.int64)


def _images(cache: Path, rows: Ids, split: Split, seed: int, workers: int) -> Pictures:
    path = cache / f"{split}-{seed}-{_digest(rows)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        chunks = np.array_split(rows, max(1, len(rows) // 2000))
        with ProcessPoolExecutor(workers) as pool:
            drawn = list(pool.map(_draw, chunks, [split] * len(chunks), [seed] * len(chunks)))
        partial = path.with_suffix(".partial.npy")
        np.save(partial, np.concatenate(drawn), allow_pickle=False)
        os.replace(partial, path)
    images: Pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    return images


def _draw(rows: Ids, split: Split, seed: int) -> Pictures:
    pictures = np.empty((len(rows), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    for at, (domain, label, index) in enumerate(rows.tolist()):
        pictures[at] = np.asarray(render(DOMAINS[domain], split, label, index, seed=seed))
    return pictures


def _digest(rows: Ids) -> str:
    digest = hashlib.sha256(rows.tobytes())
    for module in (canvas, captions, photograph, shapes, styles, world):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
