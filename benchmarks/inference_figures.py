"""What the benchmark of inference found, in a line each, beside what was asked for."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.figures import Figure, mb, ms

THROUGHPUT = {"demo": 1.5, "ViT-B-32": 1.0}  # of the better peer's, at equal or lower p99
FORWARD = {"ViT-B-32": 0.9}  # of bare forward passes
ALONE = 1.25  # p50 of one at a time over decoding and a forward pass
TOGETHER = 0.7  # of the time of two requests
HELD = 1.2  # resident memory over weights
HOSTILE = 1.5  # p99 over calm p99


def figures(parts: Mapping[str, Any]) -> list[Figure]:
    """The table of these parts, each as its module's `measure` gave it."""
    return [figure for name, found in parts.items() for figure in _OF_PARTS[name](found)]


def gpu_figures(parts: Mapping[str, Any]) -> list[Figure]:
    """The same of `benchmarks.inference_gpu`."""
    return [
        figure
        for found in parts.values()
        for figure in (*_latency(found["latency"]), *_gpu_throughput(found["throughput"]))
    ]


def _gpu_throughput(found: Mapping[str, Any]) -> Iterator[Figure]:
    for name, row in found["models"].items():
        servers = row["servers"]
        load = _most(servers["litserve"])
        ours = _most(servers["ours"], load["p99"])
        ratio = ours["per_second"] / load["per_second"]
        yield Figure(
            f"{name}: throughput at equal or lower p99",
            f"{ratio:.2f} of LitServe's ({ours['per_second']:.0f} against "
            f"{load['per_second']:.0f} a second)",
            "at least 1",
            ratio >= 1,
        )
        alone, eager = (servers[way]["closed"]["1"]["p50"] for way in ("ours", "ours_eager"))
        yield Figure(
            f"{name}: p50 of one client with CUDA graphs over without",
            f"{alone / eager:.2f} ({ms(alone)} against {ms(eager)})",
        )
        most, eager = (_most(servers[way])["per_second"] for way in ("ours", "ours_eager"))
        yield Figure(
            f"{name}: throughput with CUDA graphs over without",
            f"{most / eager:.2f} ({most:.0f} against {eager:.0f} a second)",
        )
        yield from _over_bare(name, row, "ours", "bf16", None)


def _latency(found: Mapping[str, Any]) -> Iterator[Figure]:
    for name, row in found["models"].items():
        alone = row["alone"]
        ratio = alone["p50"] / alone["bare"]
        yield Figure(
            f"{name}: one request at a time, p50",
            f"{ratio:.2f} times decoding and forward pass ({ms(alone['p50'])} against "
            f"{ms(alone['bare'])})",
            f"at most {ALONE}",
            ratio <= ALONE,
        )
        together = row["together"]["ratio"]
        yield Figure(
            f"{name}: two models in one request",
            f"{together:.2f} of the time of two",
            f"at most {TOGETHER}",
            together <= TOGETHER,
        )


def _throughput(found: Mapping[str, Any]) -> Iterator[Figure]:
    for name, row in found["models"].items():
        servers = row["servers"]
        peer, load = max(
            ((peer, _most(servers[peer])) for peer in servers if not peer.startswith("ours")),
            key=lambda item: item[1]["per_second"],
        )
        ours = _most(servers["ours_fp32"], load["p99"])
        target = THROUGHPUT[name]
        ratio = ours["per_second"] / load["per_second"]
        yield Figure(
            f"{name}: throughput in float32, at equal or lower p99",
            f"{ratio:.2f} of {peer}'s ({ours['per_second']:.0f} against "
            f"{load['per_second']:.0f} a second)",
            f"at least {target}",
            ratio >= target,
        )
        for way, what in (
            ("ours", "as it is served by default"),
            ("ours_whole", "by default, every JPEG decoded whole"),
        ):
            others = _most(servers[way], load["p99"])["per_second"]
            yield Figure(f"{name}: the same, {what}", f"{others / load['per_second']:.2f}")
        yield from _over_bare(name, row, "ours_fp32", "fp32", FORWARD.get(name))
        if name in FORWARD:  # the demo's base is always served in float32
            yield from _over_bare(name, row, "ours", "bf16", None)


def _over_bare(
    name: str, row: Mapping[str, Any], way: str, precision: str, wanted: float | None
) -> Iterator[Figure]:
    bare = max(row["bare"][precision].values())
    share = _most(row["servers"][way])["per_second"] / bare
    yield Figure(
        f"{name}: throughput over bare forward passes, {precision}",
        f"{share:.2f} ({bare:.0f} a second)",
        "" if wanted is None else f"at least {wanted}",
        None if wanted is None else share >= wanted,
    )


def _held(found: Mapping[str, Any]) -> Iterator[Figure]:
    for name, row in found["models"].items():
        for setting, grown in row["grown"].items():
            ratio = statistics.mean(grown) / row["weights"]
            yield Figure(
                f"{name}: memory of each further model, precision {setting}",
                f"{ratio:.2f} of its weights ({mb(row['weights'])} in float32)",
                f"at most {HELD}",
                ratio <= HELD,
            )


def _hostile(found: Mapping[str, Any]) -> Iterator[Figure]:
    for name, row in found["models"].items():
        for limit, seen in row.items():
            calm, harassed = seen["calm"]["p99"], seen["harassed"]["p99"]
            of_limit = "without a limit" if limit == "none" else f"limited to {limit}"
            yield Figure(
                f"{name}: p99 while {found['hostile']} clients send bad input and giant images, "
                f"{of_limit}",
                f"{seen['ratio']:.2f} times calm ({ms(harassed)} against {ms(calm)})",
                f"at most {HOSTILE}",
                seen["ratio"] <= HOSTILE,
            )


def _most(server: Mapping[str, Any], p99: float = float("inf")) -> Mapping[str, float]:
    """The load with the most answers a second among those within the p99; where none is, with one
    client."""
    loads = server["closed"]
    within = [load for load in loads.values() if load["p99"] <= p99]
    if not within:
        return min(loads.values(), key=lambda load: load["p99"])
    return max(within, key=lambda load: load["per_second"])


_OF_PARTS = {
    "latency": _latency,
    "throughput": _throughput,
    "held": _held,
    "hostile": _hostile,
}
