"""The web of one or several worlds: their pictures and captions, drawn once and kept on disk.

In the `Web` of `core/demo/web.py`, labels run on through the classes of all worlds, in order, and
`domains_N` through their manners. The cache's name holds a digest of the code that draws.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from core.demo.web import Ids, Pictures, Web
from core.demo.worlds.base import Split, World

_CHUNK = 2000
"""Pictures a process draws before it hands them over."""


def drawn_web(
    cache: Path,
    worlds: Sequence[World],
    *,
    split: Split,
    seed: int,
    workers: int,
    per_class: int | None = None,
) -> Web:
    """The split's pictures from `cache`, drawing them first if they are not there.

    As many of each class in each domain as the worlds say, or `per_class`. Raises ValueError when
    two worlds share a class.
    """
    _require_no_shared_class(worlds)
    rows_N4 = _rows(worlds, per_class)
    images_NHWC = _images(cache, worlds, rows_N4, split, seed, workers)
    first_label = _offsets([len(world.classes) for world in worlds])
    first_manner = _offsets([len(world.manners) for world in worlds])
    labels, manners, spoken = [], [], []
    for w, d, label, index in rows_N4.tolist():
        world, domain = worlds[w], worlds[w].domains[d]
        manner = world.manner(domain, split, label, index, seed=seed)
        labels.append(first_label[w] + label)
        manners.append(first_manner[w] + world.manners.index(manner))
        spoken.append(world.caption(domain, split, label, index, seed=seed))
    return Web(
        images_NHWC=images_NHWC,
        labels_N=np.array(labels),
        domains_N=np.array(manners),
        captions_N=[sentence for sentence, _ in spoken],
        names_domain_N=np.array([names for _, names in spoken]),
    )


def _require_no_shared_class(worlds: Sequence[World]) -> None:
    owner: dict[str, str] = {}
    for world in worlds:
        for name in world.classes:
            if name in owner:
                raise ValueError(
                    f"the worlds {owner[name]} and {world.name} both have the class {name!r}, "
                    "which one base cannot tell apart: train a base for each"
                )
            owner[name] = world.name


def _offsets(sizes: list[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _rows(worlds: Sequence[World], per_class: int | None) -> Ids:
    """One row (world, domain, label, index) a picture."""
    blocks = []
    for w, world in enumerate(worlds):
        classes = len(world.classes)
        for domain, usual in world.web_per_class.items():
            count = usual if per_class is None else per_class
            block_N4 = np.empty((classes * count, 4), dtype=np.int64)
            block_N4[:, 0] = w
            block_N4[:, 1] = world.domains.index(domain)
            block_N4[:, 2] = np.repeat(np.arange(classes), count)
            block_N4[:, 3] = np.tile(np.arange(count), classes)
            blocks.append(block_N4)
    return np.concatenate(blocks)


def _images(
    cache: Path, worlds: Sequence[World], rows_N4: Ids, split: Split, seed: int, workers: int
) -> Pictures:
    path = cache / f"{split}-{seed}-{_digest(worlds, rows_N4)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        chunks = np.array_split(rows_N4, max(1, len(rows_N4) // _CHUNK))
        each = len(chunks)
        with ProcessPoolExecutor(workers) as pool:
            drawn = list(pool.map(_draw, [worlds] * each, chunks, [split] * each, [seed] * each))
        partial = path.with_suffix(".partial.npy")
        np.save(partial, np.concatenate(drawn), allow_pickle=False)
        os.replace(partial, path)
    images: Pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    return images


def _draw(worlds: Sequence[World], rows_N4: Ids, split: Split, seed: int) -> Pictures:
    size = worlds[0].image_size
    pictures_NHWC = np.empty((len(rows_N4), size, size, 3), dtype=np.uint8)
    for at, (w, d, label, index) in enumerate(rows_N4.tolist()):
        world = worlds[w]
        picture = world.render(world.domains[d], split, label, index, seed=seed)
        pictures_NHWC[at] = np.asarray(picture)
    return pictures_NHWC


def _digest(worlds: Sequence[World], rows_N4: Ids) -> str:
    digest = hashlib.sha256(rows_N4.tobytes())
    for world in worlds:
        for module in world.sources:
            digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
