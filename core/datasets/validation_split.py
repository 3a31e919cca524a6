"""A seeded slice of train to choose checkpoints by, where a data set has no `val`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from operator import attrgetter

from core.datasets.index_entry import IndexEntry


def hold_out(
    entries: Iterable[IndexEntry], fraction: float, seed: int
) -> tuple[list[IndexEntry], list[IndexEntry]]:
    """(train, val), each sorted by class and name.

    A pure function of the seed and the entries' keys and classes, whatever order they come in.
    Classes give up their share, rounded so that the whole share comes out right, and every class
    keeps at least one training image; `val` is empty only when no class has a second.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction is {fraction}; it must lie between 0 and 1, without them")
    classes: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in entries:
        classes[entry.class_name].append(entry)
    shares = _shares({name: len(members) for name, members in classes.items()}, fraction, seed)
    train: list[IndexEntry] = []
    val: list[IndexEntry] = []
    for name in sorted(classes):
        drawn = sorted(classes[name], key=lambda entry: _draw(seed, "image", entry.key))
        val += sorted(drawn[: shares[name]], key=attrgetter("key"))
        train += sorted(drawn[shares[name] :], key=attrgetter("key"))
    return train, val


def _shares(sizes: dict[str, int], fraction: float, seed: int) -> dict[str, int]:
    """How many images each class gives: the whole part first, then by largest remainder."""
    shares = {name: min(int(size * fraction), size - 1) for name, size in sizes.items()}
    missing = max(1, round(sum(sizes.values()) * fraction)) - sum(shares.values())
    by_remainder = sorted(
        (name for name, size in sizes.items() if shares[name] < size - 1),
        key=lambda name: (shares[name] - sizes[name] * fraction, _draw(seed, "class", name)),
    )
    for name in by_remainder[: max(0, missing)]:
        shares[name] += 1
    return shares


def _draw(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{purpose}\0{name}".encode()).digest()
