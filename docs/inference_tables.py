"""The tables of docs/performance.md about inference, made of what the benchmark recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.figures import ms
from core.learning.report import markdown_table

_SERVERS = {
    "ours": "this service",
    "ours_whole": "this service, every JPEG decoded whole",
    "ours_fp32": "this service in float32",
    "litserve": "LitServe",
    "bentoml": "BentoML",
}


def throughput(text: str) -> str:
    """Answers a second and p99 of every server by the number of clients."""
    found = json.loads(text)["parts"]["throughput"]
    clients = [str(n) for n in found["clients"]]
    blocks = []
    for name, row in found["models"].items():
        rows = [
            [_SERVERS[server], *(_load(measured["closed"][n]) for n in clients)]
            for server, measured in row["servers"].items()
        ]
        rows += [
            [f"forward passes alone, {precision}, batch {size}", f"{rate:.0f}"]
            + [""] * (len(clients) - 1)
            for precision, by_size in row["bare"].items()
            for size, rate in by_size.items()
        ]
        header = [name, *(f"{n} client{'s' * (n != '1')}" for n in clients)]
        blocks.append(markdown_table(header, rows))
    versions = ", ".join(f"{name} {version}" for name, version in found["peers"].items())
    caption = (
        f"Answers a second / p99. Closed loops, in turns, medians of {found['rounds']}; "
        f"{versions}, each with the options that were best of the sweep below."
    )
    return "\n\n".join([*blocks, caption])


def open_loop(text: str) -> str:
    """p50 and p99 where requests come at random times."""
    found = json.loads(text)["parts"]["throughput"]
    blocks = []
    for name, row in found["models"].items():
        shares = list(next(iter(row["servers"].values()))["open"])
        rows = [
            [_SERVERS[server], *(_wait(measured["open"][share]) for share in shares)]
            for server, measured in row["servers"].items()
        ]
        header = [name, *(f"at {float(share):.0%} of its most" for share in shares)]
        blocks.append(markdown_table(header, rows))
    return "\n\n".join([*blocks, "Requests a second: p50 / p99, each at a share of its own most."])


def sweep(text: str) -> str:
    """What the peers were tried with."""
    found = json.loads(text)["parts"]["throughput"]["models"]
    rows = []
    for name, row in found.items():
        for peer, tried in row["swept"].items():
            best = max(each["best"]["per_second"] for each in tried)
            for each in tried:
                load = each["best"]
                mark = "best" if load["per_second"] == best else ""
                options = ", ".join(f"{key} {value}" for key, value in each["options"].items())
                cells = [name, _SERVERS[peer], options, _load(load), str(load["clients"]), mark]
                rows.append(cells)
    header = ["model", "server", "options", "a second / p99", "clients", ""]
    return markdown_table(header, rows)


def _load(row: Mapping[str, float]) -> str:
    return f"{row['per_second']:.0f} / {ms(row['p99'])}"


def _wait(row: Mapping[str, float]) -> str:
    return f"{row['per_second']:.0f}: {ms(row['p50'])} / {ms(row['p99'])}"
