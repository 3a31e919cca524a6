"""What well-behaved clients feel of others that send what is no image, and images that are huge."""

from __future__ import annotations

import base64
import io
import json
import multiprocessing
import statistics
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving import ours
from benchmarks.serving.images import jpegs
from benchmarks.serving.load import Load, closed, medians, opened
from benchmarks.serving.models import make

IMAGES = 32
CLIENTS = 8  # in a closed loop, for the most that are answered
GIANT = (7000, 5000)  # pixels, of the 50 million that are allowed
BOMB = 30_000  # pixels each way, as its header says
LABELS = 100_000
FOREVER = 1e9


def measure(
    models: Sequence[str], share: float, hostile: int, seconds: float, rounds: int
) -> dict[str, Any]:
    """For each model: p99 of requests at random times, this share of the most that are answered,
    with and without so many hostile clients, who ask again as soon as they are answered; in
    turns."""
    pictures, giant = jpegs(IMAGES), jpegs(1, *GIANT)[0]
    found = {}
    with tempfile.TemporaryDirectory(prefix="lipsum-hostile-") as made:
        for name in models:
            served = make(name, Path(made))
            with ours.settled(served, pictures) as service:
                good = [service.classify(each) for each in pictures]
                most = closed(service.port, good, CLIENTS, seconds).per_second
                calm: list[Load] = []
                harassed: list[Load] = []
                for _ in range(rounds):
                    calm.append(opened(service.port, good, share * most, seconds))
                    with _harassed(service.port, bad_requests(service, giant), hostile):
                        harassed.append(opened(service.port, good, share * most, seconds))
            ratios = [
                after.percentile(99) / before.percentile(99)
                for before, after in zip(calm, harassed, strict=True)
            ]
            found[name] = {
                "most": round(most, 2),
                "calm": medians(calm),
                "harassed": medians(harassed),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "ratio": round(statistics.median(ratios), 3),
            }
    return {"share": share, "hostile": hostile, "models": found}


def bad_requests(service: ours.Ours, giant: bytes) -> list[bytes]:
    """Each kind once: what is refused at sight, what is found out late, and what is allowed and
    takes long."""
    picture = jpegs(1)[0]
    labels = [f"thing {n}" for n in range(LABELS)]
    body = {
        "inputs": base64.b64encode(picture).decode(),
        "parameters": {"candidate_labels": labels},
    }
    return [
        service.classify(b"no image"),
        service.classify(b""),
        service.classify(picture[: len(picture) // 2]),
        service.classify(_bomb(), kind="image/png"),
        service.classify(giant),
        service.classify(json.dumps(body).encode(), kind="application/json"),
    ]


@contextmanager
def _harassed(port: int, requests: Sequence[bytes], clients: int) -> Iterator[None]:
    """From a process of its own: what it takes to send these is not the others' to pay."""
    spawn = multiprocessing.get_context("spawn")
    sender = spawn.Process(target=closed, args=(port, requests, clients, FOREVER), daemon=True)
    sender.start()
    try:
        yield
    finally:
        sender.kill()
        sender.join()


def _bomb() -> bytes:
    """A PNG of a few bytes that says it is huge, and is."""
    header = struct.pack(">IIBBBBB", BOMB, BOMB, 8, 2, 0, 0, 0)
    row = zlib.compress(b"\0" * (1 + 3 * BOMB))
    chunks = ((b"IHDR", header), (b"IDAT", row), (b"IEND", b""))
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    for kind, data in chunks:
        checksum = zlib.crc32(kind + data)
        out.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum))
    return out.getvalue()
