"""The tables of docs/performance.md about jobs, made of what the benchmark recorded."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.figures import NAMES, ms, thousands
from core.learning.report import markdown_table

_PHASES = {
    "claimed": "request, doorbell and claim",
    "begun": "a trainer has the job",
    "imported": "torch, open_clip and the pipeline",
    "data": "the splits' images and labels",
    "model": "the model's weights",
    "pixels": "decoded images are opened",
    "head": "the zero-shot head, from the cache",
    "scored": "zero-shot scores, from cached features",
    "made": "optimiser and method",
    "stepped": "the first step",
}


def first_step(text: str) -> str:
    """Where the time goes between a submission and the first step."""
    found = json.loads(text)["parts"]["first_step"]
    rows = [
        [title, *(f"{1e3 * found[way]['phases'][name]:.0f} ms" for way in ("waiting", "started"))]
        for name, title in _PHASES.items()
    ]
    rows.append(["all", *(_seconds(found[way]["seconds"]) for way in ("waiting", "started"))])
    table = markdown_table(["until", "a trainer waits", "a trainer is started"], rows)
    images = found["images"]
    caption = (
        f"Median of {found['tries']} jobs each, in turns, of the demo's base with "
        f"{thousands(images['train'])} images to train on and {thousands(images['scored'])} scored."
    )
    return f"{table}\n\n{caption}"


def overhead(text: str) -> str:
    """Jobs beside the same training by itself."""
    found = json.loads(text)["parts"]["overhead"]
    rows = [
        [str(number), f"{row['job']:.1f} s", f"{row['direct']:.1f} s", _ratio(row)]
        for number, row in enumerate(found["pairs"], 1)
    ]
    table = markdown_table(["pair", "job", "training by itself", "ratio"], rows)
    return f"{table}\n\n{thousands(found['steps'])} steps of Lipsum-FT on the demo's base."


def claims(text: str) -> str:
    """Claims by jobs in the queue."""
    found = json.loads(text)["parts"]["claims"]
    header = ["queued", f"{found['workers']} workers at once", "a claim then, p50 / p99"]
    header.append("claim and give back alone, p50 / p99")
    rows = []
    for size, together in found["together"].items():
        alone = found["alone"][size]
        rows.append(
            [
                thousands(size),
                f"{together['claims_per_second']:.0f} claims/s",
                *(f"{ms(one['p50'])} / {ms(one['p99'])}" for one in (together, alone)),
            ]
        )
    return markdown_table(header, rows)


def sweeps(text: str) -> str:
    """Seconds of a sweep by database and jobs."""
    found = json.loads(text)["parts"]["sweeps"]
    sizes = [str(size) for size in found["sizes"]]
    header = ["a sweep", *(f"{thousands(size)} jobs, p50 / p99" for size in sizes), "p50 ratio"]
    rows = []
    for kind, by_size in found["seconds"].items():
        cells = [f"{ms(by_size[size]['p50'])} / {ms(by_size[size]['p99'])}" for size in sizes]
        ratio = by_size[sizes[-1]]["p50"] / by_size[sizes[0]]["p50"]
        rows.append([NAMES[kind], *cells, f"{ratio:.2f}"])
    return f"{markdown_table(header, rows)}\n\n{found['rounds']} sweeps of each, in turns."


def _seconds(found: dict[str, Any]) -> str:
    return f"{found['p50']:.2f} s"


def _ratio(row: dict[str, float]) -> str:
    return f"{row['job'] / row['direct']:.3f}"
