"""The tables of docs/performance.md, made of what the benchmarks recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.figures import (
    MIB,
    NAMES,
    PAGES,
    Figure,
    figures,
    mb,
    ms,
    thousands,
    upload_ratio,
)
from core.learning.report import markdown_table

_MET = {True: "yes", False: "**no**", None: ""}


def targets(text: str, lines: Callable[[Mapping[str, Any]], Sequence[Figure]] = figures) -> str:
    """Every figure beside its target, and what it was measured on; `lines` gives the figures of a
    benchmark's parts."""
    document = json.loads(text)
    header = ["what", "measured", "target", "met"]
    rows = [
        [line.what, line.measured, line.target, _MET[line.met]] for line in lines(document["parts"])
    ]
    return f"{markdown_table(header, rows)}\n\n{_caption(document)}"


def create_job(text: str) -> str:
    """Seconds of the service and of the bare insert."""
    found = json.loads(text)["parts"]["create_job"]
    header = ["database", "p50", "bare insert", "ratio", "p99", "bare insert", "ratio"]
    rows = []
    for kind, seconds in found["seconds"].items():
        cells = [NAMES[kind]]
        for percent in ("p50", "p99"):
            ours, bare = seconds["service"][percent], seconds["bare"][percent]
            cells += [ms(ours), ms(bare), f"{ours / bare:.1f}"]
        rows.append(cells)
    return f"{markdown_table(header, rows)}\n\n{found['rounds']} requests to each, in turns."


def list_jobs(text: str) -> str:
    """Seconds of a page by database, page and size of the table."""
    found = json.loads(text)["parts"]["list_jobs"]
    sizes = [str(size) for size in found["sizes"]]
    header = ["20 jobs", *(f"of {thousands(size)}, p50 / p99" for size in sizes), "p99 ratio"]
    rows = []
    for kind, pages in found["seconds"].items():
        for page, seconds in pages.items():
            cells = [f"{PAGES[page]}, {NAMES[kind]}"]
            for size in sizes:
                cells.append(f"{ms(seconds[size]['p50'])} / {ms(seconds[size]['p99'])}")
            rows.append([*cells, f"{seconds[sizes[-1]]['p99'] / seconds[sizes[0]]['p99']:.2f}"])
    return f"{markdown_table(header, rows)}\n\n{found['rounds']} requests to each, in turns."


def uploads(text: str) -> str:
    """Throughput against `cp` and `sha256sum`, and memory."""
    found = json.loads(text)["parts"]["uploads"]
    header = ["file", "cp + sha256sum", "lipsum push", "one request"]
    header += ["service, push", "service, one request", "lipsum push itself"]
    rows = []
    for row in found["rows"]:
        cells = [f"{row['bytes'] / MIB:.0f} MiB", _speed(row, "copy")]
        cells += [f"{_speed(row, way)} ({upload_ratio(row, way):.2f})" for way in ("push", "post")]
        memory = ("push_api_bytes", "post_api_bytes", "push_client_bytes")
        rows.append([*cells, *(mb(row[name]) for name in memory)])
    repeats = ", ".join(str(row["repeats"]) for row in found["rows"])
    caption = f"Best speed and most memory of {repeats} times, in turns."
    return f"{markdown_table(header, rows)}\n\n{caption}"


def watchers(text: str) -> str:
    """Delays of events and memory, for many who watch."""
    found = json.loads(text)["parts"]["watchers"]
    header = ["watchers of", "delay, p50", "p99", "most", "memory of each", "readings"]
    rows = [
        [
            "one job" if row["jobs"] == 1 else f"{row['jobs']} jobs",
            *(f"{row[name]:.2f} s" for name in ("delay_p50", "delay_p99", "delay_most")),
            f"{row['api_bytes_per_watcher'] / 1e3:.0f} KB",
            thousands(row["readings"]),
        ]
        for row in found["rows"]
    ]
    watching = thousands(found["rows"][0]["watchers"])
    return f"{markdown_table(header, rows)}\n\n{watching} watchers of one API process."


def checkpoints(text: str) -> str:
    """What a checkpoint costs training."""
    found = json.loads(text)
    rows = [
        ["a step", f"{found['step_seconds']:.2f} s"],
        ["a checkpoint", mb(found["bytes"])],
        ["training waits for its copy", f"{found['copied_seconds']:.2f} s"],
        ["it is stored after", f"{found['stored_seconds']:.1f} s"],
        ["all it costs, on the clock", f"{found['cost_seconds']:.2f} s"],
        [
            f"of training, with one every {found['interval_seconds']:.0f} s",
            f"{100 * found['share']:.1f} % (target {100 * found['target']:.0f} %)",
        ],
        ["all it costs, of the processors", f"{found['processor_cost_seconds']:.2f} s"],
        ["of what training may take of them", f"{100 * found['processor_share']:.1f} %"],
    ]
    table = markdown_table(["what", f"{found['method']} of {found['model']}"], rows)
    caption = (
        f"Median of {len(found['pairs'])} pairs of blocks of {found['steps_of_a_block']} steps, "
        f"batch {found['batch_size']}, {found['threads']} threads; load average "
        f"{found['load']['before'][0]} before. `{found['command']}`, commit {found['commit']}, "
        f"{found['machine']}."
    )
    return f"{table}\n\n{caption}"


def _speed(row: Mapping[str, Any], way: str) -> str:
    return f"{row['bytes'] / row[f'{way}_seconds'] / 1e6:.0f} MB/s"


def _caption(document: Mapping[str, Any]) -> str:
    machine, load = document["machine"], document["load"]
    servers = f"SQLite {machine['sqlite']}, PostgreSQL {machine['postgresql'] or 'not there'}"
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    return (
        f"`{document['command']}`, {document['seconds']} s in all; commit {document['commit']}, "
        f"{document['date']}; {machine['cores']} cores ({machine['processor']}){gpu}, "
        f"{machine['memory_bytes'] / 1e9:.0f} GB, {machine['system']}, Python {machine['python']}, "
        f"{servers}. Load average {load['before'][0]} before, {load['after'][0]} after."
    )
